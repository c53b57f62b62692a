/* SPDX-License-Identifier: MIT */
/* What cron runs. One script for all accessories of a service; see backup_schedule.h. */
#include "backup_schedule.h"

#include <stdlib.h>

/*
 * %s: DOCKER_HOST, or nothing.  cron gives next to no environment.  The backup is made whole beside
 * the others before it gets its name, and its .json comes last, as service/store.h has it.  What
 * fails says why on stderr, which becomes the record's `error`.
 */
static const char head[] =
	"#!/bin/sh\n"
	"# Made by deploy: cron starts a backup with it. usage: .run ACCESSORY\n"
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin\n"
	"%s"
	"umask 077\n"
	"cd \"$(dirname \"$0\")\" || exit 1\n"
	"set=.$1\n"
	". \"./$set/conf\" || exit 1\n"
	"docker=docker\n"
	"command -v docker >/dev/null 2>&1 || docker=podman\n"
	"exec 8>>\"$set/lock\"\n"
	"flock -n 8 || exit 0 # the last run still goes on\n";

static const char body[] =
	"now() { date -u +%Y-%m-%dT%H:%M:%SZ; }\n"
	"die() { echo \"$*\" >&2; exit 1; }\n"
	"began=$(now)\n"
	"id=$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N3 -tx1 /dev/urandom | tr -d ' \\n')\n"
	"part=$set/part\n"
	"rm -f \"$part\"*\n"
	"\n"
	"# Its output, and how it ended; what is no backup by its first bytes is cut off.\n"
	"dump() {\n"
	"	timeout \"$seconds\" $docker exec \"$container\" sh -c \"$(cat \"$set/dump\")\" "
	"8>&-\n"
	"	echo $? >\"$part.code\"\n"
	"}\n"
	"checked() {\n"
	"	[ -n \"$magic\" ] || { cat; return; }\n"
	"	begins=$(head -c ${#magic} | tr -d '\\000')\n"
	"	if [ \"$begins\" = \"$magic\" ]; then\n"
	"		printf %s \"$magic\"\n"
	"		cat\n"
	"	elif [ -n \"$begins\" ]; then\n"
	"		echo 'what it wrote is no backup' >&2\n"
	"	fi\n"
	"}\n"
	"sealed() {\n"
	"	if [ -n \"$salt\" ]; then\n"
	"		openssl enc -aes-256-ctr -pbkdf2 -salt -pass \"file:$set/pass\"\n"
	"	else\n"
	"		cat\n"
	"	fi\n"
	"}\n"
	"bytes() { for b in $(echo \"$1\" | sed 's/../& /g'); do printf \"\\\\$(printf %03o "
	"\"0x$b\")\"; done; }\n"
	"sum() { sha256sum | cut -c1-64; }\n"
	"mac() {\n"
	"	inner=$({ cat \"$set/ipad\"; cat; } | sum)\n"
	"	{ cat \"$set/opad\"; bytes \"$inner\"; } | sum\n"
	"}\n"
	"\n"
	"make() {\n"
	"	dump | checked | sealed >\"$part\" || die 'the backup could not be written'\n"
	"	code=$(cat \"$part.code\")\n"
	"	[ \"$code\" != 124 ] || die \"it took longer than $seconds seconds\"\n"
	"	[ \"$code\" = 0 ] || die \"it ended with exit code $code\"\n"
	"	size=$(wc -c <\"$part\" | tr -d ' ')\n"
	"	empty=0\n"
	"	[ -z \"$salt\" ] || empty=16\n"
	"	[ \"$size\" -gt $empty ] || die 'it wrote nothing'\n"
	"	sync \"$part\" 2>/dev/null || sync\n"
	"	sha=$(sum <\"$part\")\n"
	"	{\n"
	"		printf '{\"id\":\"%s\",\"time\":\"%s\",\"size\":%s,\"sha256\":\"%s\",%s' "
	"\"$id\" "
	"\"$began\" \"$size\" \"$sha\" \"$info\"\n"
	"		[ -z \"$salt\" ] || printf "
	"',\"salt\":\"%s\",\"check\":\"%s\",\"mac\":\"%s\"' \"$salt\" "
	"\"$check\" \"$(printf 'deploy-backup 1\\n%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n' \"$id\" "
	"\"$accessory\" "
	"\"$kind\" \"$size\" \"$sha\" \"$salt\" | mac)\"\n"
	"		echo '}'\n"
	"	} >\"$part.json\" || die 'no room for its description'\n"
	"	put\n"
	"}\n"
	"\n"
	"# Older ones go, never the newest.\n"
	"limit=$(date -u -d \"@$(($(date +%s) - keep * 86400))\" +%Y%m%d%H%M%S)\n"
	"old() {\n"
	"	sort | sed '$d' | while read -r name; do\n"
	"		when=$(echo \"$name\" | cut -c1-15 | tr -d TZ)\n"
	"		[ \"$when\" -ge \"$limit\" ] 2>/dev/null || echo \"$name\"\n"
	"	done\n"
	"}\n";

/*
 * Where backups go: put(), which takes "$part" and "$part.json", and prune(); with `to` another
 * server, by the login that this one has there.
 */
static const char places[] =
	"to=${to:-}\n"
	"remote() {\n"
	"	ssh -T -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=20 "
	"-oServerAliveInterval=15 ${port:+-p \"$port\"} \"$to\" \"umask 077; cd $folder && { $1; "
	"}\" "
	"8>&-\n"
	"}\n"
	"put() {\n"
	"	if [ -n \"$to\" ]; then\n"
	"		put_there\n"
	"	else\n"
	"		put_here\n"
	"	fi\n"
	"}\n"
	"put_there() {\n"
	"	there=$(remote \"cat >.part-$id && sync && sha256sum <.part-$id\" <\"$part\") ||\n"
	"		die 'it could not be sent'\n"
	"	[ \"${there%% *}\" = \"$sha\" ] || die 'what was written there is not what was "
	"sent'\n"
	"	remote \"mv .part-$id $id.data && cat >.part-j-$id && sync && mv .part-j-$id "
	"$id.json\" "
	"<\"$part.json\" || die 'it could not be put in place'\n"
	"}\n"
	"put_here() {\n"
	"	mkdir -p \"$accessory\" && mv \"$part\" \"$accessory/$id.data\" &&\n"
	"		cp \"$part.json\" \"$accessory/.part-$id\" && sync &&\n"
	"		mv \"$accessory/.part-$id\" \"$accessory/$id.json\" &&\n"
	"		[ -e \"$accessory/$id.data\" ] && return\n"
	"	rm -f \"$accessory/$id.json\" \"$accessory/$id.data\"\n"
	"	die 'it could not be put in place'\n"
	"}\n"
	"in_place() {\n"
	"	if [ -n \"$to\" ]; then\n"
	"		remote \"$1\"\n"
	"	else\n"
	"		(cd \"$accessory\" && sh -c \"$1\")\n"
	"	fi\n"
	"}\n"
	"prune() {\n"
	"	in_place ls >\"$part.list\" || die 'old ones could not be listed'\n"
	"	sed -n 's/\\.json$//p' \"$part.list\" | old |\n"
	"		in_place 'while read -r n; do rm -f \"$n.json\" \"$n.data\"; done'\n"
	"}\n"
	"if [ \"${2:-}\" = check ]; then\n"
	"	[ -z \"$to\" ] || (f=$folder; folder=/; remote \"mkdir -p $f && test -w $f\")\n"
	"	exit\n"
	"fi\n";

static const char tail[] =
	"\n"
	"(make && prune) 2>\"$part.err\"\n"
	"code=$?\n"
	"why=$(tail -n 5 \"$part.err\" | tr '\\n' ' ' | tr -d '\"\\\\\\000-\\037' | cut -c1-300)\n"
	"[ $code != 0 ] || why=\n"
	"rm -f \"$part\" \"$part.json\" # room for the record\n"
	"printf "
	"'{\"id\":\"%s\",\"started\":\"%s\",\"ended\":\"%s\",\"exit\":%s,\"error\":\"%s\"}\\n' "
	"\"$id\" "
	"\"$began\" \"$(now)\" \"$code\" \"$why\" >\"$part.last\" && mv \"$part.last\" "
	"\"$set/last\"\n"
	"rm -f \"$part\"*\n"
	"exit $code\n";

char *backup_schedule_script(const struct target *t)
{
	CLEANUP_FREE char *docker_host =
		t->host->socket ? xasprintf("export DOCKER_HOST=unix://%s\n", t->host->socket)
				: xstrdup("");
	struct str s = STR_INIT(STR_MAX_FILE);
	str_addf(&s, head, docker_host);
	str_add(&s, body);
	str_add(&s, places);
	str_add(&s, tail);
	return str_take(&s);
}
