# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A push beside the floor (floor.c), which needs an image and containers of its own.

# The server's Docker loads an image without the layers that it has: all but the last one.
floor_tar() { # IMAGE TAR
	local dir=$BENCH_WORK/tar layer
	rm -rf "$dir"
	mkdir "$dir"
	docker save "$1" | tar -x -C "$dir"
	for layer in $(jq -r '.[0].Layers[:-1][]' "$dir/manifest.json"); do
		rm -f "$dir/$layer"
	done
	tar -c -C "$dir" -f "$2" .
}

floor_number=0
# A changed layer, in $BENCH_WORK/floor/image.tar; the image in $FLOOR_IMAGE.
floor_image() {
	local dir=$BENCH_WORK/floor
	floor_number=$((floor_number + 1))
	FLOOR_IMAGE=floor:$floor_number
	mkdir -p "$dir"
	date +%s%N >"$dir/version.txt"
	printf 'FROM app-base:1\nCOPY version.txt /app/\n' >"$dir/Dockerfile"
	DOCKER_BUILDKIT=0 docker build -q -t "$FLOOR_IMAGE" "$dir" >/dev/null 2>&1
	floor_tar "$FLOOR_IMAGE" "$dir/image.tar"
	docker rmi -f "$FLOOR_IMAGE" >/dev/null
}

declare -A floor_old # by host
# The floor's push of it to all these hosts at once.
floor_run() { # HOST...
	local host pids=()
	for host in "$@"; do
		"$BENCH_BUILD/tests/bench/floor" "$BED_SSH_CONFIG" "$host" "$BENCH_WORK/floor/image.tar" \
			"$FLOOR_IMAGE" "floor-$floor_number" "${floor_old[$host]:--}" 3000 /up &
		pids+=("$!")
	done
	for host in "${pids[@]}"; do
		wait "$host" || return 1
	done
}

# A changed layer, then the floor's push of it; $MS.
floor_push() { # [HOST]... (h1)
	local host
	[[ $# -gt 0 ]] || set -- h1
	floor_image
	timed floor_run "$@"
	for host in "$@"; do
		floor_old[$host]=floor-$floor_number
	done
}

# The same with the tool: the image is built beforehand, as that of the floor.
tool_push() {
	app_change
	quietly "$DEPLOY" build
	timed "$DEPLOY" push
}
