# shellcheck shell=bash
# The machines of the cluster: each is a set of namespaces (processes, network, mounts, names) with a first process
# that holds them. When that is killed, the kernel ends everything on the machine: its processes, pods, mounts and
# interfaces. Sourced by run.sh, whose own death is the first process's too.

declare -A machine # name -> the first process, as this machine numbers it

power_on() { # NAME
	local name=$1 directory=$state/$1 holder
	mkdir -p "$directory"
	rm -f "$directory/on"
	setsid setpriv --pdeathsig KILL unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc \
		"$here/first-process.sh" "$name" "$directory" >"$logs/$name.log" 2>&1 </dev/null &
	holder=$!
	disown
	wait_for "machine $name" 20 test -e "$directory/on"
	machine[$name]=$(cat "/proc/$holder/task/$holder/children")
	machine[$name]=${machine[$name]% }
}

power_off() { # NAME
	local first=${machine[$1]:-}
	unset "machine[$1]"
	[ -n "$first" ] || return 0
	kill -KILL "$first" 2>/dev/null || return 0
	while [ -e "/proc/$first/ns/net" ] && readlink "/proc/$first/ns/net" >/dev/null 2>&1; do sleep 0.05; done
}

on() { # NAME COMMAND…: on that machine
	local first=${machine[$1]}
	shift
	nsenter --target "$first" --net --mount --uts --ipc --pid "$@"
}

start() { # NAME PROGRAM WORD…: a daemon on that machine, with a log of its name
	local name=$1 program=$2
	shift 2
	setsid nsenter --target "${machine[$name]}" --net --mount --uts --ipc --pid "$program" "$@" \
		>>"$logs/$name-$program.log" 2>&1 </dev/null &
	disown # its end is no news
}
