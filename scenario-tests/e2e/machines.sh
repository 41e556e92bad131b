# shellcheck shell=bash
# The machines of the cluster: each is a set of namespaces (processes, network, mounts, names) with a first process
# that holds them. When that is killed, the kernel ends everything on the machine: its processes, pods, mounts and
# interfaces. Sourced by run.sh, whose own death is the first process's too.

# commands: puts `on` and `kubectl` into PATH, for what is sourced here and for whatever run.sh is asked to run.
commands() {
	mkdir "$state/bin"
	cat >"$state/bin/on" <<-SH
		#!/bin/bash
		# on MACHINE COMMAND…: runs it on that machine.
		first=\$(cat "$state/\$1/process")
		shift
		exec nsenter --target "\$first" --net --mount --uts --ipc --pid "\$@"
	SH
	cat >"$state/bin/kubectl" <<-SH
		#!/bin/bash
		exec "$state/bin/on" cp "$peers/kubectl" --kubeconfig "$keys/admin.kubeconfig" "\$@"
	SH
	chmod +x "$state/bin/"*
	PATH=$state/bin:$PATH
}

power_on() { # NAME
	local directory=$state/$1 holder
	mkdir -p "$directory"
	rm -f "$directory/on"
	setsid setpriv --pdeathsig KILL unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc \
		"$here/first-process.sh" "$1" "$directory" >>"$logs/$1.log" 2>&1 </dev/null &
	holder=$!
	disown
	wait_for "machine $1" 20 test -e "$directory/on"
	# As this machine numbers it; to itself it is 1.
	tr -d ' ' <"/proc/$holder/task/$holder/children" >"$directory/process"
}

power_off() { # NAME
	local first
	first=$(cat "$state/$1/process")
	rm "$state/$1/process"
	kill -KILL "$first" 2>/dev/null || return 0
	while readlink "/proc/$first/ns/net" >/dev/null 2>&1; do sleep 0.05; done
}

all_off() {
	local process
	for process in "$state"/*/process; do
		[ ! -e "$process" ] || power_off "$(basename "$(dirname "$process")")"
	done
}

start() { # NAME PROGRAM WORD…: a daemon on that machine, with a log of its name
	setsid "$state/bin/on" "$@" >>"$logs/$1-$2.log" 2>&1 </dev/null &
	disown # its end is no news
}
