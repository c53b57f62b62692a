#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Registries, and all that a build can be told.

setup_file() {
	load ../support/helpers
	bed_up 2
	REGISTRY=$(testbed registry up joe "$(password)")
	export REGISTRY
}
teardown_file() {
	load ../support/helpers
	[[ -z ${REGISTRY:-} ]] || docker images -q --filter "reference=$REGISTRY/*/*" \
		--filter "reference=127.0.0.1:*/acme/s*" | sort -u |
		xargs -r docker rmi -f >/dev/null
	bed_down
}
setup() {
	load ../support/helpers
	unset DEPLOY_TRANSFER DOCKER_BUILDKIT
	S=s$BATS_TEST_NUMBER
	app_repo --service "$S" --host '' h1
	mkdir -p "$APP/.deploy"
}
teardown() {
	[[ -z ${APP:-} ]] || deploy_run remove -y
	e2e_report
}

# What a shell, JSON and base64 all might stumble over.
password() { printf '%s' 'Geheim$1 "x"\y'; }

uses_registry() {
	sed -i "s|^image: .*|image: acme/$S\nregistry: {server: \"$REGISTRY\", username: joe, password: [REGISTRY_PASSWORD]}|" \
		"$APP/deploy.yml"
	printf "REGISTRY_PASSWORD='%s'\n" "${1-$(password)}" >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	app_commit "Through the registry"
}

registry_api() {
	curl -s --cacert "$BED/registry/ca.pem" -u "joe:$(password)" "https://$REGISTRY/v2/$1"
}

env_of() { curl -s -m 5 "http://$H1_IP/env?name=$1"; }

@test "the image is pushed to the registry, and the hosts pull it" {
	sed -i 's/hosts: \[h1\]/hosts: [h1, h2]/' "$APP/deploy.yml"
	uses_registry
	deploy_ok push -v
	assert_stderr 'image there \(registry,'
	assert_serves "version 1" "http://$H1_IP/"
	assert_serves "version 1" "http://$H2_IP/"
	registry_api "acme/$S/tags/list" | grep -F "\"${LIVE:-$(app_version)}" ||
		fail "$(registry_api "acme/$S/tags/list")"
	docker_on h1 images --format '{{.Repository}}' | grep -xF "$REGISTRY/acme/$S"
}

@test "the registry's password is in no argv, no file and no output" {
	local watch
	uses_registry
	while sleep 0.02; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n'; done \
		>"$BATS_TEST_TMPDIR/argv" 2>&1 3>&- &
	watch=$!
	deploy_ok push -v -v
	cp "$DEPLOY_STDERR" "$BATS_TEST_TMPDIR/first-stderr"
	deploy_ok push --json -v --force
	kill "$watch"
	grep -qF "$DEPLOY_BIN" "$BATS_TEST_TMPDIR/argv" || fail "argv was not sampled"
	for f in argv first-stderr stdout stderr; do
		! grep -aF 'Geheim$1' "$BATS_TEST_TMPDIR/$f" || fail "the password is in $f"
		! grep -aF "$(printf 'joe:%s' "$(password)" | base64 -w0)" "$BATS_TEST_TMPDIR/$f" ||
			fail "the password in base64 is in $f"
	done
	[[ ! -e $BATS_TEST_TMPDIR/home/.docker/config.json ]]
	! grep -rFl 'Geheim$1' "$BATS_TEST_TMPDIR/home" "$BATS_TEST_TMPDIR/app/.git" || fail "in a file here"
	testbed exec h1 bash -c '! grep -rFl "$0" /home /root /tmp /etc /run 2>/dev/null' 'Geheim$1' ||
		fail "in a file there"
}

@test "an accessory's image is pulled with its own login, and the application's travels by SSH" {
	"$E2E_ROOT/deploy/support/image" redis:7
	docker tag redis:7 "$REGISTRY/acme/s-redis:7"
	mkdir "$BATS_TEST_TMPDIR/docker"
	jq -n --arg server "$REGISTRY" --arg auth "$(printf 'joe:%s' "$(password)" | base64 -w0)" \
		'{auths: {($server): {auth: $auth}}}' >"$BATS_TEST_TMPDIR/docker/config.json"
	DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker docker push -q "$REGISTRY/acme/s-redis:7"
	docker rmi "$REGISTRY/acme/s-redis:7" >/dev/null
	manifest_add "accessories:" "  redis:" "    image: acme/s-redis:7" "    host: h1" \
		"    registry: {server: \"$REGISTRY\", username: joe, password: [REDIS_REGISTRY_PASSWORD]}"
	app_commit "Redis of our own"
	deploy_fails 3 push
	assert_stderr "REDIS_REGISTRY_PASSWORD"
	secrets_file REDIS_REGISTRY_PASSWORD=wrong
	deploy_fails 5 push
	assert_stderr "unauthorized|denied|authentication required"
	printf "REDIS_REGISTRY_PASSWORD='%s'\n" "$(password)" >"$APP/.deploy/secrets"
	deploy_ok push
	deploy_ok accessory exec redis redis-cli ping
	assert_stdout PONG
	assert_equal "$(docker_on h1 inspect -f '{{.Config.Image}}' "$S-redis")" "$REGISTRY/acme/s-redis:7"
	deploy_run -y accessory remove --data redis
}

@test "a wrong password of the registry is told, and nothing moves" {
	uses_registry wrong
	deploy_fails 5 push
	assert_stderr 'unauthorized|authentication'
	assert_stderr 'REGISTRY_PASSWORD'
	refute_stderr 'wrong'
	assert_containers h1 "^$S-" 0
}

@test "a registry that does not answer is told, and nothing moves" {
	uses_registry
	sed -i 's/:5000/:5999/' "$APP/deploy.yml"
	app_commit "At a port where nothing is"
	deploy_fails 5 push
	assert_stderr ':5999'
	assert_containers h1 "^$S-" 0
}

# The manifest's registry is one on this machine's or the servers' own loopback, without TLS.
uses_loopback_registry() { # PORT
	sed -i "/^registry:/d; s|^image: .*|image: acme/$S|" "$APP/deploy.yml"
	printf 'registry: {server: "127.0.0.1:%s", username: joe, password: [REGISTRY_PASSWORD]}\n' "$1" \
		>>"$APP/deploy.yml"
	printf 'REGISTRY_PASSWORD=Geheim\n' >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	app_commit "Through a fake"
}

@test "a fake registry that throttles or refuses is told in its own words, and nothing moves" {
	local mode words port=$BATS_TEST_TMPDIR/port fake
	for mode in throttle refuse; do
		[[ $mode == throttle ]] && words='toomanyrequests: you have reached your limit' ||
			words='denied: not in this repository'
		"$E2E_SUPPORT/fake-server" registry $mode "$port" 3>&- &
		fake=$!
		eventually 10 test -s "$port"
		uses_loopback_registry "$(cat "$port")"
		deploy_run push
		kill "$fake"
		rm "$port"
		deploy_show "push to it" >&2
		assert_equal "$DEPLOY_STATUS" 5 status
		assert_stderr "$words"
		testbed exec h1 perl - registry $mode /run/port <"$E2E_SUPPORT/fake-server" 3>&- &
		fake=$!
		eventually 10 testbed exec h1 test -s /run/port
		uses_loopback_registry "$(testbed exec h1 cat /run/port)"
		deploy_run push --skip-build --version "of-$mode"
		testbed exec h1 sh -c 'pkill -x perl; rm /run/port'
		wait "$fake" || true
		deploy_show "pull from it" >&2
		assert_equal "$DEPLOY_STATUS" 5 status
		assert_stderr "$words"
		assert_stderr "REGISTRY_PASSWORD" || [[ $mode == throttle ]]
		assert_containers h1 "^$S-" 0
	done
}

# An image with one layer, as a registry gives it: hN TEXT; to /run/image there.
image_of() {
	local dir=$BATS_TEST_TMPDIR/image-$1 layer config
	mkdir "$dir"
	echo "$2" >"$BATS_TEST_TMPDIR/text"
	tar -C "$BATS_TEST_TMPDIR" -cf "$dir/layer" text
	layer=$(sha256sum <"$dir/layer" | cut -d' ' -f1)
	printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["/x"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$layer" >"$dir/config"
	config=$(sha256sum <"$dir/config" | cut -d' ' -f1)
	printf '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":"sha256:%s"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":"sha256:%s"}]}' \
		"$(stat -c %s "$dir/config")" "$config" "$(stat -c %s "$dir/layer")" "$layer" >"$dir/manifest"
	mv "$dir/layer" "$dir/$layer"
	mv "$dir/config" "$dir/$config"
	tar -C "$dir" -c . | testbed exec "$1" sh -c 'rm -rf /run/image; mkdir /run/image; tar -C /run/image -x'
}

@test "a fake registry that gives each server another image under one tag is found out" {
	local h fakes=()
	sed -i 's/hosts: \[h1\]/hosts: [h1, h2]/' "$APP/deploy.yml"
	uses_loopback_registry 5997
	for h in h1 h2; do
		image_of $h "of $h"
		testbed exec $h env PORT=5997 perl - registry /run/image /run/port <"$E2E_SUPPORT/fake-server" 3>&- &
		fakes+=($!)
		eventually 10 testbed exec $h test -s /run/port
	done
	deploy_run push --skip-build --version moved
	for h in h1 h2; do
		testbed exec $h sh -c 'pkill -x perl; rm /run/port'
		docker_on $h rmi -f "127.0.0.1:5997/acme/$S:moved" >/dev/null || true
	done
	wait "${fakes[@]}" || true
	deploy_show push >&2
	assert_equal "$DEPLOY_STATUS" 5 status
	assert_stderr "gave 'h1' and 'h2' different images of version 'moved'"
	assert_containers h1 "^$S-" 0
	assert_containers h2 "^$S-" 0
}

# Spoils what the registry keeps of this repository: manifests or layers.
spoil() {
	local blobs=$BED/registry/data/docker/registry/v2/blobs/sha256 link digest
	for link in "$BED/registry/data/docker/registry/v2/repositories/acme/$S/$1"/*/link \
		"$BED/registry/data/docker/registry/v2/repositories/acme/$S/$1"/*/*/link; do
		[[ -e $link ]] || continue
		digest=$(sed 's/.*://' "$link")
		cp "$blobs/${digest:0:2}/$digest/data" "$BATS_TEST_TMPDIR/$digest"
		echo >>"$blobs/${digest:0:2}/$digest/data" # still JSON, still gzip
		SPOILT+=("$digest")
	done
}

unspoil() {
	local blobs=$BED/registry/data/docker/registry/v2/blobs/sha256 digest
	for digest in "${SPOILT[@]}"; do
		cp "$BATS_TEST_TMPDIR/$digest" "$blobs/${digest:0:2}/$digest/data"
	done
	SPOILT=()
}

@test "a registry that lies about a digest is not believed: the image comes through SSH" {
	local kind
	uses_registry
	deploy_ok push
	sed -i 's/hosts: \[h1\]/hosts: [h2]/' "$APP/deploy.yml" # the same commit, and so the same digests
	for kind in _manifests/revisions _layers; do
		SPOILT=()
		spoil "$kind"
		((${#SPOILT[@]} > 0)) || fail "nothing to spoil in $kind"
		deploy_run push -v
		unspoil
		deploy_show "push with $kind spoilt" >&2
		assert_equal "$DEPLOY_STATUS" 0 status
		assert_stderr 'registry transfer failed.*(verification|verify|digest)'
		assert_stderr 'image there \(partial,'
		assert_serves "version 1" "http://$H2_IP/"
		deploy_ok remove -y
		docker_on h2 images -q "$REGISTRY/acme/$S" | sort -u |
			DOCKER_HOST=$(testbed docker-host h2) xargs -r docker rmi -f
	done
	sed -i 's/hosts: \[h2\]/hosts: [h1]/' "$APP/deploy.yml"
}

@test "push --skip-build takes the image from the registry" {
	uses_registry
	deploy_ok build --json
	local tag image
	tag=$(jq -r 'select(.result == "build") | .tags[0]' "$DEPLOY_STDOUT")
	image=$tag
	if ! registry_api "acme/$S/tags/list" | grep -qF "${image##*:}"; then
		# build only builds and tags
		docker login -u joe -p "$(password)" "$REGISTRY" >/dev/null 2>&1
		docker push "$image" >/dev/null
		docker logout "$REGISTRY" >/dev/null
	fi
	docker rmi "$image" >/dev/null
	deploy_ok push --skip-build -v
	refute_stderr 'build: '
	assert_serves "version 1" "http://$H1_IP/"
}

@test "push --skip-build of an image that is nowhere is told" {
	deploy_fails 2 push --skip-build
	assert_stderr "image 's$BATS_TEST_NUMBER:[0-9a-f]*' is not there"
}

@test "build secrets reach the build, and no layer, with BuildKit" {
	cat >"$APP/Dockerfile" <<'END'
FROM app-base:1
COPY . /app/
RUN --mount=type=secret,id=NPM_TOKEN sh -c 'tr a-z A-Z </run/secrets/NPM_TOKEN | head -c 5 >/app/version.txt'
END
	printf 'builder:\n  secrets: [NPM_TOKEN]\n' >>"$APP/deploy.yml"
	printf 'NPM_TOKEN=abcdefghij-%s\n' "$BASHPID" >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	app_commit "With a token"
	deploy_ok push -v
	assert_serves ABCDE "http://$H1_IP/"
	refute_stderr abcdefghij
	docker_on h1 inspect "$(docker_on h1 ps -q --filter "name=$S-")" >"$BATS_TEST_TMPDIR/inspect"
	refute grep -F abcdefghij "$BATS_TEST_TMPDIR/inspect"
}

@test "build secrets never go to the classic builder, DOCKER_BUILDKIT=0 or not" {
	printf 'builder:\n  secrets: [NPM_TOKEN]\n' >>"$APP/deploy.yml"
	printf 'NPM_TOKEN=abc\n' >"$APP/.deploy/secrets"
	chmod 600 "$APP/.deploy/secrets"
	app_commit "With a token"
	DOCKER_BUILDKIT=0 deploy_ok build -v
	assert_stderr 'with BuildKit'
}

@test "build arguments, target and further tags" {
	cat >"$APP/Dockerfile" <<'END'
FROM app-base:1 AS production
ARG COLOUR=none
ENV COLOUR=${COLOUR}
COPY . /app/
FROM production AS other
ENV COLOUR=wrong
END
	cat >>"$APP/deploy.yml" <<'END'
builder:
  args: {COLOUR: "deep blue"}
  target: production
  tags: [latest, "{branch}-{sha}"]
END
	app_commit "A colour"
	deploy_ok push
	assert_equal "$(env_of COLOUR)" "deep blue"
	docker image inspect "$S:latest" "$S:main-$(git -C "$APP" rev-parse --short=7 HEAD)" >/dev/null ||
		docker images "$S"
	assert_equal "$(docker image inspect -f '{{.Id}}' "$S:latest")" \
		"$(docker_on h1 inspect -f '{{.Image}}' "$(docker_on h1 ps -q --filter "name=$S-")")" "image"
	docker rmi "$S:latest" >/dev/null
}

@test "the classic builder builds too, and is named" {
	app_commit "Version c" version.txt="version c"
	DOCKER_BUILDKIT=0 deploy_ok push -v
	assert_stderr 'classic'
	assert_serves "version c" "http://$H1_IP/"
}

@test "what .dockerignore names is not in the image" {
	printf '.git\n*.log\n!keep.log\nnode_modules\n**/secret.txt\n' >"$APP/.dockerignore"
	mkdir -p "$APP/node_modules" "$APP/a/b"
	app_commit "Files" x.log=x keep.log=k node_modules/m=m a/b/secret.txt=s a/b/plain.txt=p
	deploy_ok push
	docker_on h1 exec "$(docker_on h1 ps -q --filter "name=$S-")" sh -c 'cd /app && ls -d * a/b/* 2>/dev/null' \
		>"$BATS_TEST_TMPDIR/ls"
	grep -x keep.log "$BATS_TEST_TMPDIR/ls"
	grep -x a/b/plain.txt "$BATS_TEST_TMPDIR/ls"
	refute grep -E 'x\.log|node_modules|secret' "$BATS_TEST_TMPDIR/ls"
}

@test "a submodule is refused with a clear word" {
	git init -q "$BATS_TEST_TMPDIR/lib"
	git -C "$BATS_TEST_TMPDIR/lib" -c user.name=x -c user.email=x@x commit -q --allow-empty -m x
	git -C "$APP" -c protocol.file.allow=always submodule --quiet add "$BATS_TEST_TMPDIR/lib" lib
	app_commit "A submodule"
	deploy_run push
	[[ $DEPLOY_STATUS -ne 0 ]]
	assert_stderr "[Ss]ubmodule"
	assert_stderr "lib"
	assert_containers h1 "^$S-" 0
}

@test "a file of Git LFS is refused with a clear word" {
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 7 >"$APP/film.mp4"
	printf '*.mp4 filter=lfs diff=lfs merge=lfs -text\n' >"$APP/.gitattributes"
	app_commit "A film"
	deploy_run push
	[[ $DEPLOY_STATUS -ne 0 ]]
	assert_stderr "LFS"
	assert_stderr "film.mp4"
	assert_containers h1 "^$S-" 0
}

@test "a Dockerfile that fails shows its last lines, and nothing moves" {
	deploy_ok push
	printf 'FROM app-base:1\nRUN echo reason-of-it >&2; exit 7\n' >"$APP/Dockerfile"
	app_commit "Does not build"
	deploy_fails 5 push
	assert_stderr 'reason-of-it'
	assert_stderr '7'
	assert_serves "version 1" "http://$H1_IP/"
}

@test "builder.remote builds on a server's Docker" {
	printf 'builder: {remote: "ssh://deploy@h2"}\n' >>"$APP/deploy.yml"
	app_commit "Version r" version.txt="version r"
	docker images -q "$S" | xargs -r docker rmi -f >/dev/null # of an earlier run here
	deploy_ok push
	assert_serves "version r" "http://$H1_IP/"
	docker_on h2 images --format '{{.Repository}}' | grep -x "$S"
	[[ -z $(docker images -q "$S") ]] || fail "it was built here"
}
