#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Backups of accessories, with a real PostgreSQL, Redis and MariaDB: nothing is lost, whatever fails.

setup_file() {
	load ../support/helpers
	bed_up 2
	"$E2E_SUPPORT/../../deploy/support/image" postgres:15 redis:7 mariadb:10
}

teardown_file() { bed_down; }

setup() {
	load ../support/helpers
	service_repo "bak$BATS_TEST_NUMBER" h1
	DIR=/home/deploy/.deploy/$SERVICE/backups
}

teardown() {
	e2e_report
	[[ -z ${S3_PID:-} ]] || kill "$S3_PID" 2>/dev/null || true
	[[ ! -e $APP/deploy.yml ]] || deploy_run -y accessory remove --data all
	service_forget
}

postgres() { # LINE of backup:
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" "    backup: $1"
	secrets_file POSTGRES_PASSWORD=sesame-open
	deploy_ok accessory boot db
}

sql() { deploy_ok accessory exec db -- psql -U postgres shop -qtAXc "$1" && cat "$DEPLOY_STDOUT"; }
maria() {
	deploy_ok accessory exec db -- sh -c 'MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --default-character-set=utf8mb4 -N -B shop -e "$0"' "$1" &&
		cat "$DEPLOY_STDOUT"
}
# A restore of 300000 rows was broken off: what is there is the one or the other, and the next one works.
all_or_nothing_then_all() { # ROWS BEFORE
	case $(sql "select count(*) from t") in
	"$1" | 300000) ;;
	*) fail "neither what was there nor what was restored" ;;
	esac
	deploy_ok -y --lock-wait=60 accessory restore db
	assert_equal "$(sql 'select count(*) from t')" 300000
	assert_equal "$(sql "select count(*) from pg_database where datname like 'shop%'")" 1
}

newest() { testbed exec h2 sh -c "ls $DIR/db/*.data | tail -n 1"; }
count() { testbed exec h2 sh -c "ls $DIR/db | grep -c '$1\$' || true"; }

@test "a backup of PostgreSQL is listed, verified and restored, and a safety backup comes first" {
	postgres "{}"
	sql "create table t as select generate_series(1, 1000) as n"
	deploy_ok accessory backup db --verify
	assert_stderr "verified: 1 tables, 1000 rows"
	assert_containers h2 "scratch" 0
	# Where it lies: nobody else's to read, its checksum beside it.
	assert_equal "$(testbed exec h2 stat -c '%a %U' "$DIR/db")" "700 deploy"
	assert_equal "$(testbed exec h2 stat -c '%a' "$(newest)")" 600
	deploy_ok accessory backups --json
	assert_equal "$(jq -r .sha256 "$DEPLOY_STDOUT")" "$(testbed exec h2 sha256sum "$(newest)" | cut -d' ' -f1)"
	assert_equal "$(jq -r .size "$DEPLOY_STDOUT")" "$(testbed exec h2 stat -c %s "$(newest)")"
	sql "delete from t where n > 10; create table later ()"
	deploy_fails 2 accessory restore db
	deploy_ok -y accessory restore db
	assert_stderr "what was there is backup"
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	assert_equal "$(sql 'select count(*) from t')" 1000
	deploy_ok accessory backups db
	assert_stdout "before the restore of"
	# Back to what was there before the restore, by its name.
	deploy_ok -y accessory restore db "$(awk '/before the restore/ {print $3}' "$DEPLOY_STDOUT")"
	assert_equal "$(sql 'select count(*) from t')" 10
	assert_equal "$(sql "select count(*) from pg_database where datname like 'shop%'")" 1
}

@test "a restore goes on though clients are connected, and they may come again" {
	postgres "{}"
	sql "create table t as select 1 as n"
	deploy_ok accessory backup db
	sql "insert into t values (2)"
	docker_on h2 exec -d "$SERVICE-db" psql -U postgres shop -c "select pg_sleep(600)"
	deploy_ok -y accessory restore db
	assert_equal "$(sql 'select count(*) from t')" 1
}

@test "a bit that fell over is told, and the database is left alone" {
	postgres "{}"
	sql "create table t as select generate_series(1, 1000) as n"
	deploy_ok accessory backup db
	sql "insert into t values (0)"
	testbed exec h2 sh -c "f=$(newest); b=\$(dd if=\$f bs=1 skip=2000 count=1 2>/dev/null | od -An -tu1); \
		printf \"\\\\\$(printf %03o \$((b ^ 1)))\" | dd of=\$f bs=1 seek=2000 conv=notrunc 2>/dev/null"
	deploy_fails 5 -y accessory restore db
	assert_stderr "is damaged: its checksum is not the one that was written"
	assert_equal "$(sql 'select count(*) from t')" 1001
	# Nor was a safety backup made for nothing.
	assert_equal "$(count .json)" 1
}

@test "a full disk fails the backup with its reason, and leaves the others" {
	postgres "{}"
	sql "create table t as select md5(n::text) || md5((n + 1)::text) as x from generate_series(1, 200000) as n"
	deploy_ok accessory backup db
	# A small disk, with the backup that is there on it.
	testbed exec h2 sh -c "mv $DIR/db $DIR/db.aside && mkdir $DIR/db && mount -t tmpfs -o size=1m tmpfs $DIR/db && chown deploy: $DIR/db"
	deploy_fails 5 accessory backup db
	assert_stderr "No space left on device"
	assert_equal "$(testbed exec h2 ls -A "$DIR/db" | wc -l)" 0
	testbed exec h2 sh -c "umount $DIR/db && rmdir $DIR/db && mv $DIR/db.aside $DIR/db"
	deploy_ok accessory backups db
	assert_equal "$(grep -c db "$DEPLOY_STDOUT")" 1
}

@test "a restore that is killed loses nothing, and the next one works" {
	postgres "{}"
	sql "create table t as select md5(n::text) as x from generate_series(1, 300000) as n"
	deploy_ok accessory backup db
	sql "delete from t where x like 'a%'"
	local before
	before=$(sql "select count(*) from t")
	deploy_start -y accessory restore db --no-safety
	deploy_await "restoring"
	# Two at once: the second one is told who is there.
	(cd "$APP" && deploy_env "$DEPLOY_BIN" -y accessory restore db) 2>"$(e2e_tmp)/second" && fail "two restores at once"
	grep -q "lock" "$(e2e_tmp)/second"
	deploy_signal -9
	deploy_wait
	all_or_nothing_then_all "$before"
}

@test "a server that is cut off in the middle of a backup is told, and no half backup is listed" {
	postgres "{}"
	sql "create table t as select md5(n::text) as x from generate_series(1, 1000000) as n"
	deploy_ok accessory backup db
	testbed netem h2 100ms
	deploy_start accessory backup db
	deploy_await "backing up"
	sleep 1
	testbed net-cut h2
	deploy_wait
	testbed net-restore h2
	testbed netem h2 off
	refute assert_equal "$DEPLOY_STATUS" 0
	assert_stderr "h2"
	deploy_ok accessory backups db
	assert_equal "$(grep -c db "$DEPLOY_STDOUT")" 1
	deploy_ok --lock-wait=60 accessory backup db
	assert_equal "$(count .json)" 2
	assert_equal "$(testbed exec h2 sh -c "ls -A $DIR/db | grep -c part || true")" 0
}

@test "a server that is cut off in the middle of a restore keeps what it had, and the next restore works" {
	postgres "{}"
	sql "create table t as select md5(n::text) as x from generate_series(1, 300000) as n"
	deploy_ok accessory backup db
	sql "delete from t where x like 'a%'"
	local before
	before=$(sql "select count(*) from t")
	testbed netem h2 100ms
	deploy_start -y accessory restore db --no-safety
	deploy_await "restoring"
	testbed net-cut h2
	deploy_wait
	testbed net-restore h2
	testbed netem h2 off
	refute assert_equal "$DEPLOY_STATUS" 0
	assert_stderr "h2"
	all_or_nothing_then_all "$before"
}

@test "a backup of Redis is restored whole, also into its append-only file" {
	manifest_add "accessories:" "  redis:" "    image: redis:7" "    host: h1" \
		"    cmd: redis-server --appendonly yes" "    volumes: ['${SERVICE}_redis:/data']" \
		"    backup: {to: ./backups}"
	deploy_ok accessory boot redis
	deploy_ok accessory exec redis -- redis-cli mset a 1 b 2
	deploy_ok accessory backup redis --verify
	assert_stderr "verified: 2 keys"
	# On this machine, and not there.
	assert_equal "$(find "$APP/backups" -name '*.data' | wc -l)" 1
	refute testbed exec h1 test -e "$DIR"
	deploy_ok accessory exec redis -- redis-cli mset a 3 c 4
	deploy_ok -y accessory restore redis
	assert_stderr "restored from .*: 2 keys"
	deploy_ok accessory restart redis
	deploy_ok accessory exec redis -- redis-cli mget a b c
	assert_equal "$(tr '\n' ' ' <"$DEPLOY_STDOUT")" "1 2  "
	deploy_ok accessory exec redis -- redis-cli set d 5
	assert_stdout OK
	assert_containers h1 scratch 0
}

@test "an encrypted backup is restored with its key only, and openssl alone opens it" {
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" "    backup: {key: [BACKUP_KEY]}" \
		"  redis:" "    image: redis:7" "    host: h1" "    backup: {to: ./backups, key: [BACKUP_KEY]}"
	deploy_ok accessory boot all
	sql "create table t as select 'very-plain-' || generate_series(1, 1000) as x"
	deploy_ok accessory exec redis -- redis-cli set very-plain-key 1
	deploy_ok accessory backup all --verify
	assert_stderr "verified: 1 tables, 1000 rows"
	assert_stderr "verified: 1 keys"
	refute testbed exec h2 grep -qE "plain|PGDMP" "$(newest)"
	refute grep -rqE "plain|REDIS0" "$APP/backups"
	sql "delete from t"
	deploy_ok accessory exec redis -- redis-cli flushall
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	deploy_ok -y accessory restore redis
	assert_stderr "restored from .*: 1 keys"
	# By hand, as deploy-accessory(1) says.
	local json pass
	json=$(find "$APP/backups" -name '*.json' | head -n 1)
	pass=$(e2e_tmp)/pass
	openssl kdf -keylen 32 -kdfopt pass:a-long-key-of-backups -kdfopt "hexsalt:$(jq -r .salt "$json")" \
		-kdfopt n:32768 -kdfopt r:8 -kdfopt p:1 SCRYPT | tr -d ':\n' | tr A-F a-f >"$pass"
	openssl enc -d -aes-256-ctr -pbkdf2 -pass "file:$pass" -in "${json%.json}.data" | head -c 5 | grep -q REDIS
	# With another key, with none, and when somebody has changed what stands beside it.
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=another-key-of-backups
	deploy_fails 3 -y accessory restore db
	assert_stderr "the key is not the one"
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=too-short
	deploy_fails 3 accessory backup db
	assert_stderr "shorter than 16"
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups
	testbed exec h2 sh -c "f=$(newest); echo x >>\$f; sed -i \"s/\\\"sha256\\\": *\\\"[0-9a-f]*\\\"/\\\"sha256\\\":\\\"\$(sha256sum <\$f | cut -c1-64)\\\"/\" \${f%.data}.json"
	deploy_fails 5 -y accessory restore db "$(basename "$(newest)" .data)"
	assert_stderr "not vouched for by its key"
	assert_equal "$(sql 'select count(*) from t')" 1000
}

@test "a backup by commands; older ones go after their days, and never the newest" {
	manifest_add "accessories:" "  files:" "    image: redis:7" "    host: h1" \
		"    volumes: ['${SERVICE}_files:/data']" \
		"    backup: {command: 'tar -C /data -cf - .', restore: 'tar -C /data -xf -', verify: 'cat /data/x', keep: 7}"
	deploy_ok accessory boot files
	deploy_ok accessory exec files -- sh -c 'echo one >/data/x'
	deploy_ok accessory backup files
	deploy_ok accessory exec files -- sh -c 'echo two >/data/x'
	# As if it had been made ten days ago.
	testbed exec h1 sh -c "sed -i 's/\"time\": *\"[^\"]*\"/\"time\":\"2020-01-01T00:00:00.000Z\"/' $DIR/files/*.json"
	deploy_ok -y accessory restore files --no-safety
	assert_stderr "restored from .*: one"
	deploy_ok accessory backup files
	assert_equal "$(testbed exec h1 sh -c "ls $DIR/files/*.data | wc -l")" 1
	deploy_ok accessory backups files
	refute_stdout 2020
	# Data that a killed tool left without their description are none, and go.
	testbed exec h1 sh -c "touch $DIR/files/20200101T000000Z-aaaaaa.data $DIR/files/.part-x && chown deploy: $DIR/files/*"
	deploy_ok accessory backup files
	assert_equal "$(testbed exec h1 sh -c "ls -A $DIR/files | grep -cE 'part|2020' || true")" 0
	# A command that fails is told with its words, and is no backup.
	manifest_edit "s/tar -C .data -cf - ./echo no such thing >\&2; exit 3/"
	deploy_fails 5 accessory backup files
	assert_stderr "no such thing"
	assert_equal "$(testbed exec h1 sh -c "ls $DIR/files/*.data | wc -l")" 2
}

@test "a push takes a snapshot before its release command, and has it on record" {
	postgres "{}"
	manifest_add "release:" "  command: release" "  snapshot: db"
	app_commit "Snapshot" release-fails="on purpose"
	sql "create table t as select 42 as n"
	deploy_fails 5 push
	assert_equal "$(count .json)" 1
	app_commit "Works" release-fails-
	deploy_ok plan
	assert_stdout "h2: back up accessory db"
	deploy_ok push
	assert_equal "$(count .json)" 2
	deploy_ok releases show 2
	local id
	id=$(awk '/db@h2/ {print $NF}' "$DEPLOY_STDOUT")
	sql "drop table t"
	deploy_ok -y accessory restore db "$id"
	assert_equal "$(sql 'select n from t')" 42
	# A rollback leaves the data alone, unless it is told otherwise.
	app_commit "Next" version.txt="version 2"
	deploy_ok push
	sql "update t set n = 43"
	deploy_fails 2 rollback --restore-snapshot
	deploy_ok -y rollback --restore-snapshot
	assert_stderr "restored from"
	assert_equal "$(sql 'select n from t')" 42
	deploy_ok app version
	assert_stdout "$(git -C "$APP" rev-parse HEAD~1 | cut -c1-10)"
	# No release without its snapshot.
	deploy_ok accessory stop db
	app_commit "Again" version.txt="version 3"
	deploy_fails 5 push
	assert_stderr "snapshot of accessory 'db'"
	deploy_ok accessory start db
}

# --- by schedule ---

scheduled() { # HOST: runs what cron would run
	local line
	line=$(testbed exec "$1" su deploy -c "crontab -l" | grep -F "$SERVICE/backups/.run")
	[[ -n $line ]] || fail "no line for backups:" "$(testbed exec "$1" su deploy -c "crontab -l")"
	testbed exec "$1" su deploy -c "env -i /bin/sh -c \"$(cut -d' ' -f6- <<<"$line")\""
}

@test "cron backs a database up with nobody there, encrypted, and it can be restored" {
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups
	testbed exec h2 sh -c 'pgrep -x cron >/dev/null || cron'
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" \
		"    backup: {schedule: '* * * * *', key: [BACKUP_KEY]}"
	deploy_ok plan
	assert_stdout "let cron back up accessory db"
	deploy_ok push
	assert_stderr "cron backs up db"
	sql "create table t as select 'very-plain-' || generate_series(1, 1000) as x"
	# Nobody else's to read, and not the key itself.
	assert_equal "$(testbed exec h2 sh -c "stat -c %a $DIR/.db; stat -c %a $DIR/.db/* | sort -u")" $'700\n600'
	refute testbed exec h2 grep -rq a-long-key "$DIR"
	for _ in $(seq 80); do
		[[ $(count .json) == 0 ]] || break
		sleep 1
	done
	deploy_ok status
	assert_stdout "h2 +db +$(basename "$(newest)" .data) .* 0"
	deploy_ok status --json
	assert_equal "$(jq -c '.backups[] | [.accessory, .last_exit, .trouble]' "$DEPLOY_STDOUT")" '["db",0,null]'
	refute testbed exec h2 grep -qE "plain|PGDMP" "$(newest)"
	# cron leaves it alone from now on.
	manifest_edit "s/\\* \\* \\* \\* \\*/17 3 * * */"
	deploy_ok status
	assert_stdout "scheduled backups of accessory db are not as in the manifest"
	deploy_ok push
	scheduled h2
	deploy_ok check
	assert_stdout "backup of db: .* old"
	sql "delete from t"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	deploy_ok plan
	refute_stdout "let cron"
	# A new key is another schedule's; a push says so.
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=another-key-of-backups
	deploy_ok plan
	assert_stdout "let cron back up accessory db"
	deploy_ok accessory boot db
	scheduled h2
	deploy_ok -y accessory restore db "$(basename "$(newest)" .data)"
	# Out of the manifest, out of the crontab.
	manifest_edit "s/schedule: '17 3 . . .', //"
	deploy_ok push
	assert_equal "$(testbed exec h2 su deploy -c "crontab -l" | grep -c "$SERVICE")" 0
	refute testbed exec h2 test -e "$DIR/.db"
	[[ $(count .json) -gt 2 ]] || fail "the backups are gone"
}

@test "a scheduled backup that fails is told by status and check, and older ones go by their days" {
	manifest_add "accessories:" "  files:" "    image: redis:7" "    host: h1" \
		"    volumes: ['${SERVICE}_files:/data']" \
		"    backup: {command: 'cat /data/x', restore: 'cat >/data/x', keep: 7, schedule: daily}"
	deploy_ok accessory boot files
	deploy_ok accessory exec files -- sh -c 'echo one >/data/x'
	scheduled h1
	# As if it were of ten days ago: the newest stays.
	testbed exec h1 sh -c "cd $DIR/files && for f in *; do mv \$f 20200101T000000Z-\${f#*-}; done &&
		sed -i 's/\"id\":\"[^-]*/\"id\":\"20200101T000000Z/; s/\"time\":\"[^\"]*/\"time\":\"2020-01-01T00:00:00Z/' *.json"
	deploy_ok accessory exec files -- rm /data/x
	refute scheduled h1
	assert_equal "$(testbed exec h1 sh -c "ls $DIR/files/*.data")" "$(testbed exec h1 sh -c "ls $DIR/files/2020*.data")"
	deploy_ok status
	assert_stdout "the last run failed .* ago: .*No such file.*exit code 1"
	deploy_ok check
	assert_stdout "backups of files: the last run failed"
	deploy_ok accessory exec files -- sh -c 'echo two >/data/x'
	scheduled h1
	assert_equal "$(testbed exec h1 sh -c "ls $DIR/files/*.data | wc -l")" 1
	deploy_ok status
	refute_stdout "failed"
	# None for two periods, and cron never ran.
	testbed exec h1 sh -c "cd $DIR/files && touch -d 2020-01-02 ../.files/conf &&
		sed -i 's/\"time\":\"[^\"]*/\"time\":\"2020-01-01T00:00:00Z/' *.json"
	deploy_ok status
	assert_stdout "no good backup for .*, and there should be one every"
	# A dead container.
	deploy_ok accessory stop files
	refute scheduled h1
	deploy_ok status
	assert_stdout "is not running"
	deploy_ok -y accessory remove files
	assert_equal "$(testbed exec h1 su deploy -c "crontab -l" | grep -c "$SERVICE")" 0
}

@test "a backup of MariaDB is verified and restored with all that is in it, and a bad one touches nothing" {
	manifest_add "accessories:" "  db:" "    image: mariadb:10" "    host: h2" \
		"    env: {clear: {MARIADB_DATABASE: shop}, secret: [MARIADB_ROOT_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/mysql']" "    backup: {schedule: daily}"
	secrets_file MARIADB_ROOT_PASSWORD="sesame 'open"
	deploy_ok accessory boot db
	maria "create table t (n int primary key, x varchar(20)); create table child (n int, foreign key (n) references t (n));
		insert into t select seq, 'é \\\\ x' from seq_1_to_1000; insert into child values (7);
		create view v as select count(*) as c from t; create table log (n int);
		create trigger tr after insert on t for each row insert into log values (new.n);
		create function two() returns int deterministic return 2"
	deploy_ok accessory backup db --verify
	assert_stderr "verified: 3 tables, 1001 rows"
	local good
	good=$(basename "$(newest)" .data)
	maria "insert into t values (2000, 'new'); drop view v; drop function two; create table later (n int);
		create trigger other after insert on later for each row insert into log values (new.n)"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 3 tables, 1001 rows"
	assert_equal "$(maria "select c, two(), (select count(*) from log), (select x from t where n = 7) from v")" $'1000\t2\t0\té \\\\ x'
	maria "insert into t values (2001, 'again')"
	assert_equal "$(maria "select n from log")" 2001
	deploy_fails 1 accessory exec db -- sh -c "MYSQL_PWD=\$MARIADB_ROOT_PASSWORD mariadb shop -e 'insert into child values (5000)'"
	assert_equal "$(maria "select count(*) from information_schema.schemata where schema_name like 'shop%'")" 1
	# By schedule the same.
	scheduled h2
	deploy_ok -y accessory restore db "$(basename "$(newest)" .data)"
	assert_stderr "restored from .*: 3 tables, 1003 rows"
	# A backup that is whole, but no good: what is there stays, triggers and all.
	testbed exec h2 sh -c "cd $DIR/db && echo 'insert into nowhere values (1);' >>$good.data &&
		sed -i \"s/\\\"sha256\\\": *\\\"[0-9a-f]*\\\"/\\\"sha256\\\":\\\"\$(sha256sum <$good.data | cut -c1-64)\\\"/;
			s/\\\"size\\\": *[0-9]*/\\\"size\\\":\$(wc -c <$good.data)/\" $good.json"
	deploy_fails 5 -y accessory restore db "$good"
	assert_stderr "nowhere"
	maria "insert into t values (2002, 'still')"
	assert_equal "$(maria "select max(n), (select count(*) from log) from t")" $'2002\t2'
}

@test "backups go to another server by SSH, by hand and by schedule, and come back from it" {
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups
	testbed exec h1 sh -c 'mkdir -p /srv/backups && chown deploy: /srv/backups'
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" \
		"    backup: {to: 'ssh://h1/srv/backups', key: [BACKUP_KEY]}"
	deploy_ok accessory boot db
	sql "create table t as select generate_series(1, 1000) as n"
	deploy_ok accessory backup db --verify
	assert_stderr "verified: 1 tables, 1000 rows"
	refute testbed exec h2 test -e "$DIR/db"
	there=/srv/backups/$SERVICE/db/h2
	assert_equal "$(testbed exec h1 sh -c "stat -c '%a %U' $there; stat -c %a $there/*.data")" $'700 deploy\n600'
	sql "delete from t"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	# A server that cannot log in there is told before cron fails every night.
	manifest_edit "s/backup: {/backup: {schedule: daily, /"
	deploy_fails 5 accessory boot db
	assert_stderr "the server itself cannot write to 'h1'"
	testbed exec h2 su deploy -c "test -e ~/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519"
	testbed exec h2 cat /home/deploy/.ssh/id_ed25519.pub |
		testbed exec h1 su deploy -c 'cat >>~/.ssh/authorized_keys'
	testbed exec h2 sh -c "grep -q ' h1$' /etc/hosts || echo '$H1_IP h1' >>/etc/hosts"
	testbed exec h2 su deploy -c "ssh-keyscan -t ed25519 h1 >~/.ssh/known_hosts 2>/dev/null"
	deploy_ok accessory boot db
	sql "insert into t values (0)"
	testbed exec h1 sh -c "cd $there && rm -f *"
	scheduled h2
	deploy_ok status
	assert_stdout "db .* 17 3 \\* \\* \\* .* 0"
	sql "delete from t"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1001 rows"
	# It goes by its days there too.
	testbed exec h1 sh -c "cd $there && for f in *; do mv \$f 20200101T000000Z-\${f#*-}; done"
	scheduled h2
	assert_equal "$(testbed exec h1 sh -c "ls $there/*.data | wc -l; ls $there | grep -c ^2020 || true")" $'1\n0'
	# Over there is nobody.
	testbed net-cut h1
	refute scheduled h2
	testbed net-restore h1
	deploy_ok status
	assert_stdout "the last run failed .*it could not be sent"
	assert_equal "$(testbed exec h1 sh -c "ls $there/*.data | wc -l")" 1
}

# --- S3 ---

# A server that checks signatures, on the bed's own address; its bucket is a folder here.
s3_server() {
	local bin=/var/tmp/deploy-go-bin-$UID
	command -v go >/dev/null || [[ -x $bin/versitygw ]] || skip "neither go nor versitygw is there"
	[[ -x $bin/versitygw ]] ||
		GOBIN=$bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 >/dev/null 2>&1 ||
		skip "versitygw cannot be built here"
	S3=$(e2e_tmp)/s3
	mkdir -p "$S3/bucket-of-$SERVICE" "$(e2e_tmp)/meta"
	ROOT_ACCESS_KEY=access ROOT_SECRET_KEY='se"cret\key' "$bin/versitygw" --port "$BED_OPERATOR:7070" \
		posix --sidecar "$(e2e_tmp)/meta" "$S3" >"$S3.log" 2>&1 3>&- &
	S3_PID=$!
	for _ in $(seq 100); do
		! curl -s -o /dev/null "http://$BED_OPERATOR:7070/" || return 0
		sleep 0.1
	done
	fail "no S3 server:" "$(cat "$S3.log")"
}

@test "backups go to an S3 bucket, by hand and by schedule, and come back from it" {
	s3_server
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups S3_ID=access "S3_KEY='se\"cret\\key'"
	manifest_add "accessories:" "  db:" "    image: postgres:15" "    host: h2" \
		"    env: {clear: {POSTGRES_DB: shop}, secret: [POSTGRES_PASSWORD]}" \
		"    volumes: ['${SERVICE}_db:/var/lib/postgresql/data']" "    backup:" \
		"      to: s3://bucket-of-$SERVICE/some/where" "      key: [BACKUP_KEY]" \
		"      s3: {endpoint: 'http://$BED_OPERATOR:7070', access_key: [S3_ID], secret_key: [S3_KEY]}"
	local there=$S3/bucket-of-$SERVICE/some/where/$SERVICE/db/h2
	deploy_ok accessory boot db
	sql "create table t as select generate_series(1, 1000) as n"
	deploy_ok accessory backup db --verify
	assert_stderr "verified: 1 tables, 1000 rows"
	assert_equal "$(find "$there" -type f | wc -l)" 2
	sql "delete from t"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	deploy_ok status
	assert_stdout "db +20"
	rm -f "$there"/*
	manifest_edit "s/key: .BACKUP_KEY.$/&\n      schedule: daily/"
	deploy_ok accessory boot db
	refute testbed exec h2 grep -q secret "$DIR/.run"
	scheduled h2
	assert_equal "$(find "$there" -type f | wc -l)" 2
	sql "delete from t"
	deploy_ok -y accessory restore db
	assert_stderr "restored from .*: 1 tables, 1000 rows"
	# By their days; the newest stays.
	local f
	for f in "$there"/*; do mv "$f" "$there/20200101T000000Z-${f##*-}"; done
	scheduled h2
	assert_equal "$(find "$there" -name '*.data' | wc -l),$(find "$there" -name '2020*' | wc -l)" 1,0
	# A wrong key is told at once.
	secrets_file POSTGRES_PASSWORD=sesame-open BACKUP_KEY=a-long-key-of-backups S3_ID=access S3_KEY=wrong-one
	deploy_fails 5 accessory backups db
	assert_stderr "s3: .*signature"
	deploy_fails 5 accessory boot db
	assert_stderr "the server itself cannot write to 'bucket-of-$SERVICE'"
	kill "$S3_PID"
	S3_PID=
	refute scheduled h2
	deploy_ok status
	assert_stdout "s3: "
}
