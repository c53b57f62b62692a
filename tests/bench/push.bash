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
# A changed layer, then the floor's push of it; $MS.
floor_push() {
	local old=- dir=$BENCH_WORK/floor image
	((floor_number == 0)) || old=floor-$floor_number
	floor_number=$((floor_number + 1))
	image=floor:$floor_number
	mkdir -p "$dir"
	date +%s%N >"$dir/version.txt"
	printf 'FROM app-base:1\nCOPY version.txt /app/\n' >"$dir/Dockerfile"
	DOCKER_BUILDKIT=0 docker build -q -t "$image" "$dir" >/dev/null 2>&1
	floor_tar "$image" "$dir/image.tar"
	timed "$BENCH_BUILD/tests/bench/floor" "$BED_SSH_CONFIG" h1 "$dir/image.tar" "$image" \
		"floor-$floor_number" "$old" 3000 /up
	docker rmi -f "$image" >/dev/null
}

# The same with the tool: the image is built beforehand, as that of the floor.
tool_push() {
	app_change
	quietly "$DEPLOY" build
	timed "$DEPLOY" push
}
