#!/usr/bin/env python3
"""results.py REPORT.json: how many tests of a ginkgo report passed, failed and skipped themselves, and which did not
pass. Exit status 0 if all that ran passed and at least one ran."""
import json
import sys


def tests(report):
    """(state, name, why) of every test that was started, and of every other step that went wrong"""
    for suite in report:
        for spec in suite.get("SpecReports") or []:
            why = " ".join((spec.get("Failure") or {}).get("Message", "").split())
            state = spec["State"]
            if spec["LeafNodeType"] == "It":
                # One that the focus leaves out is "skipped" too, but for no reason of its own.
                if state == "pending" or (state == "skipped" and not why):
                    continue
            elif state == "passed":
                continue
            words = spec.get("ContainerHierarchyTexts") or []
            yield state, " ".join(words + [spec["LeafNodeText"] or spec["LeafNodeType"]]), why


with open(sys.argv[1], encoding="utf-8") as file:
    found = sorted(tests(json.load(file)))
passed = sum(state == "passed" for state, _, _ in found)
skipped = sum(state == "skipped" for state, _, _ in found)
failed = len(found) - passed - skipped
print(f"{len(found)} tests: {passed} passed, {failed} failed, {skipped} skipped")
for state, name, why in found:
    if state != "passed":
        print(f"{state:9} {name}\n          {why[:300]}")
sys.exit(0 if passed and not failed else 1)
