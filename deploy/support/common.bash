# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by the support scripts: messages, and the control groups that a Docker
# daemon needs on a machine without systemd.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

need_root() {
	[[ $EUID -eq 0 ]] || die "this needs root${1:+ ($1)}"
}

need_commands() {
	local c missing=()
	for c in "$@"; do
		command -v "$c" >/dev/null || missing+=("$c")
	done
	[[ ${#missing[@]} -eq 0 ]] ||
		die "missing: ${missing[*]} (try: deploy/support/packages build demo test)"
}

# Nothing mounts these where there is no systemd, and dockerd refuses to start
# without them. A machine that has any of it mounted is left as it is.
mount_cgroups() {
	local line name enabled
	mountpoint -q /sys/fs/cgroup && return 0
	mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
	while read -r line; do
		read -r name _ _ enabled <<<"$line"
		[[ $enabled == 1 ]] || continue
		mkdir -p "/sys/fs/cgroup/$name"
		mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" 2>/dev/null ||
			rmdir "/sys/fs/cgroup/$name"
	done < <(grep -v '^#' /proc/cgroups)
	# A kernel without v1 controllers has the unified hierarchy only.
	if ! ls -d /sys/fs/cgroup/* >/dev/null 2>&1; then
		umount /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
	fi
}
