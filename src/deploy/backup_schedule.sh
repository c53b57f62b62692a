#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # what conf sets
# Made by deploy: cron starts a backup with it. usage: .run ACCESSORY
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
@docker_host@
umask 077
cd "$(dirname "$0")" || exit 1
set=.$1
# shellcheck source=/dev/null
. "./$set/conf" || exit 1
docker=docker
command -v docker >/dev/null 2>&1 || docker=podman
exec 8>>"$set/lock"
flock -n 8 || exit 0 # the last run still goes on
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
die() { echo "$*" >&2; exit 1; }
began=$(now)
id=$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')
part=$set/part
rm -f "$part"*

# Its output, and how it ended; what is no backup by its first bytes is cut off.
dump() {
	timeout "$seconds" $docker exec "$container" sh -c "$(cat "$set/dump")" 8>&-
	echo $? >"$part.code"
}
checked() {
	[ -n "$magic" ] || { cat; return; }
	begins=$(head -c ${#magic} | tr -d '\000')
	if [ "$begins" = "$magic" ]; then
		printf %s "$magic"
		cat
	elif [ -n "$begins" ]; then
		echo 'what it wrote is no backup' >&2
	fi
}
sealed() {
	if [ -n "$salt" ]; then
		openssl enc -aes-256-ctr -pbkdf2 -salt -pass "file:$set/pass"
	else
		cat
	fi
}
# shellcheck disable=SC2059 # the format is the bytes
bytes() { for b in $(echo "$1" | sed 's/../& /g'); do printf "\\$(printf %03o "0x$b")"; done; }
sum() { sha256sum | cut -c1-64; }
mac() {
	inner=$({ cat "$set/ipad"; cat; } | sum)
	{ cat "$set/opad"; bytes "$inner"; } | sum
}

make() {
	dump | checked | sealed >"$part" || die 'the backup could not be written'
	code=$(cat "$part.code")
	[ "$code" != 124 ] || die "it took longer than $seconds seconds"
	[ "$code" = 0 ] || die "it ended with exit code $code"
	size=$(wc -c <"$part" | tr -d ' ')
	empty=0
	[ -z "$salt" ] || empty=16
	[ "$size" -gt $empty ] || die 'it wrote nothing'
	sync "$part" 2>/dev/null || sync
	sha=$(sum <"$part")
	{
		printf '{"id":"%s","time":"%s","size":%s,"sha256":"%s",%s' "$id" "$began" "$size" "$sha" "$info"
		[ -z "$salt" ] || printf ',"salt":"%s","check":"%s","mac":"%s"' "$salt" "$check" "$(printf 'deploy-backup 1\n%s\n%s\n%s\n%s\n%s\n%s\n' "$id" "$accessory" "$kind" "$size" "$sha" "$salt" | mac)"
		echo '}'
	} >"$part.json" || die 'no room for its description'
	put
}

# Older ones go, never the newest.
limit=$(date -u -d "@$(($(date +%s) - keep * 86400))" +%Y%m%d%H%M%S)
old() {
	sort | sed '$d' | while read -r name; do
		when=$(echo "$name" | cut -c1-15 | tr -d TZ)
		[ "$when" -ge "$limit" ] 2>/dev/null || echo "$name"
	done
}
to=${to:-} bucket=${bucket:-}
remote() {
	ssh -T -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=20 -oServerAliveInterval=15 ${port:+-p "$port"} "$to" "umask 077; cd $folder && { $1; }" 8>&-
}
put() {
	if [ -n "$bucket" ]; then
		put_s3
	elif [ -n "$to" ]; then
		put_there
	else
		put_here
	fi
}
# shellcheck disable=SC2086 # options, or none
s3() { curl -sS --fail --connect-timeout 20 -K "$set/curl" -H "x-amz-content-sha256: $1" "$2" $3 $4 8>&-; }
nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
# shellcheck disable=SC2015 # dying is for either
put_s3() {
	s3 "$sha" "$bucket/$folder/$id.data" -T "$part" >&2 &&
		s3 "$(sum <"$part.json")" "$bucket/$folder/$id.json" -T "$part.json" >&2 ||
		die 'it could not be sent'
}
put_there() {
	there=$(remote "cat >.part-$id && sync && sha256sum <.part-$id" <"$part") ||
		die 'it could not be sent'
	[ "${there%% *}" = "$sha" ] || die 'what was written there is not what was sent'
	remote "mv .part-$id $id.data && cat >.part-j-$id && sync && mv .part-j-$id $id.json" <"$part.json" || die 'it could not be put in place'
}
put_here() {
	mkdir -p "$accessory" && mv "$part" "$accessory/$id.data" &&
		cp "$part.json" "$accessory/.part-$id" && sync &&
		mv "$accessory/.part-$id" "$accessory/$id.json" &&
		[ -e "$accessory/$id.data" ] && return
	rm -f "$accessory/$id.json" "$accessory/$id.data"
	die 'it could not be put in place'
}
names() {
	if [ -n "$bucket" ]; then
		s3 $nothing "$bucket?list-type=2&prefix=$prefix" | tr '<' '\n' | sed -n 's|^Key>.*/||p'
	elif [ -n "$to" ]; then
		remote ls
	else
		ls "$accessory"
	fi
}
# shellcheck disable=SC2016 # for the shell there
remove='while read -r n; do rm -f "$n.json" "$n.data"; done'
drop() {
	if [ -n "$bucket" ]; then
		while read -r n; do for end in json data; do
			s3 $nothing "$bucket/$folder/$n.$end" -X DELETE >&2
		done; done
	elif [ -n "$to" ]; then
		remote "$remove"
	else
		(cd "$accessory" && sh -c "$remove")
	fi
}
prune() {
	names >"$part.list" || die 'old ones could not be listed'
	sed -n 's/\.json$//p' "$part.list" | old >"$part.old"
	[ ! -s "$part.old" ] || drop <"$part.old"
}
if [ "${2:-}" = check ]; then
	if [ -n "$bucket" ]; then
		s3 $nothing "$bucket?list-type=2&prefix=$prefix" >/dev/null
	elif [ -n "$to" ]; then
		f=$folder folder=/
		remote "mkdir -p $f && test -w $f"
	fi
	exit
fi

(make && prune) 2>"$part.err"
code=$?
why=$(tail -n 5 "$part.err" | tr '\n' ' ' | tr -d '"\\\000-\037' | cut -c1-300)
[ $code != 0 ] || why=
rm -f "$part" "$part.json" # room for the record
printf '{"id":"%s","started":"%s","ended":"%s","exit":%s,"error":"%s"}\n' "$id" "$began" "$(now)" "$code" "$why" >"$part.last" && mv "$part.last" "$set/last"
rm -f "$part"*
exit $code
