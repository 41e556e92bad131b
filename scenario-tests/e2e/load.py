#!/usr/bin/env python3
"""load.py STOP URL…: asks the URLs in turn, each time over a new connection, and the first also over one connection
that is kept, until there is a file STOP. Prints how often, and how often in vain; exit status 0 if never in vain."""
import http.client
import os
import sys
import time
from urllib.parse import urlsplit

stop, urls = sys.argv[1], [urlsplit(url) for url in sys.argv[2:]]


def ask(connection, url):
    connection.request("GET", url.path)
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


def connect(url):
    return http.client.HTTPConnection(url.hostname, url.port, timeout=2)


kept = connect(urls[0])
kept.connect()
kept.auto_open = 0  # its end is a failure, and not mended in silence
asked = failed = broken = 0
began = time.monotonic()
while not os.path.exists(stop):
    url = urls[asked % len(urls)]
    asked += 1
    fresh = connect(url)
    try:
        failed += not ask(fresh, url)
    except OSError as error:
        failed += 1
        print(f"{time.monotonic() - began:7.3f} s  {url.netloc}: {error}")
    finally:
        fresh.close()
    try:
        ask(kept, urls[0])
    except (OSError, http.client.HTTPException):
        broken += 1
    time.sleep(0.005)
print(f"{asked} new connections, {failed} failed; {broken} requests failed on the kept one")
sys.exit(0 if asked and not failed and not broken else 1)
