/* SPDX-License-Identifier: MIT */
/*
 * Switching without a reload.
 *
 * Why: caddy's reload shuts Go's HTTP server down and starts another.  That one closes idle
 * connections under requests that are on their way, and since Go 1.23 it closes new connections
 * without an answer when their first request is read after the shutdown began (golang/go#75591,
 * open). Measured with 8 clients that connect anew for each request: 24 of 1641 lost in 48 reloads
 * of caddy 2.11, 20 of 1638 in 34 of caddy 2.6 (there by SO_REUSEPORT, which
 * net.ipv4.tcp_migrate_req mends).  So a push must not reload caddy.
 *
 * How: its `file` matcher looks at a folder with each request (some 20 us):
 *
 *   live/<sid>/A/                   is there: slot a is live; is not: slot b
 *   live/<sid>/{a,b}/<n>/<name>     the n-th container of the slot is named so (an empty file)
 *   live/<sid>/{a,b}/state.json     the same for us: names, release
 *   live/<sid>/maintenance.html     is there: it is answered, with 503
 *
 * A switch fills the slot that is not live, then makes or removes the one folder A: atomic, and
 * the disk is always what runs, whatever is killed and whenever.  Requests under way, keep-alive
 * connections and web sockets are not touched; each slot's requests in flight are counted apart.
 */
#include "internal.h"

#include "util/json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PAGE ((size_t)64 << 10)

static const char *const letters[] = {"a", "b"};

static char *slot_path(const struct proxy *p, const char *relative)
{
	return xasprintf("%s/live/%s%s%s", p->root, p->sid, *relative ? "/" : "", relative);
}

void proxy_slots_queue(
	struct sftp_batch *b, const char *folder, const char *sid, struct proxy_slot_reads *r)
{
	static const struct {
		const char *name;
		size_t max; /* 0: only whether it is there */
	} what[] = {{"A", 0}, {"a/state.json", STR_MAX_LINE}, {"b/state.json", STR_MAX_LINE},
		{"maintenance.html", 0}, {"message", STR_MAX_LINE}};
	const struct sftp_op **ops[] = {
		&r->marker, &r->sets[0], &r->sets[1], &r->away, &r->message};
	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		CLEANUP_FREE char *path = xasprintf("%s/live/%s/%s", folder, sid, what[i].name);
		*ops[i] = what[i].max ? sftp_read(b, path, what[i].max) : sftp_stat(b, path);
	}
}

static void read_set(const struct sftp_op *op, struct strvec *names, char **release)
{
	struct error ignored = {0};
	if (op->status != SFTP_OK) {
		return;
	}
	CLEANUP_JSON json_t *j = json_parse(str_c(&op->data), op->data.len, "slot", &ignored);
	size_t i;
	json_t *name;
	json_array_foreach((json_t *)(uintptr_t)json_at(j, "live"), i, name)
	{
		if (json_is_string(name)) {
			strvec_push(names, json_string_value(name));
		}
	}
	if (release) {
		free(*release);
		*release = xstrdup(json_str_at(j, "release", ""));
	}
}

void proxy_slots_take(const struct proxy_slot_reads *r, struct proxy_state *st)
{
	if (!st->present) {
		return;
	}
	st->slot = r->marker->status == SFTP_OK ? 0 : 1;
	read_set(r->sets[st->slot], &st->live, &st->release);
	read_set(r->sets[!st->slot], &st->draining, NULL);
	st->maintenance = r->away->status == SFTP_OK;
	if (st->maintenance && r->message->status == SFTP_OK) {
		free(st->message);
		st->message = xstrdup(str_c(&r->message->data));
	}
}

static bool same_names(const struct strvec *a, const struct strvec *b)
{
	bool same = a->len == b->len;
	for (size_t i = 0; same && i < a->len; i++) {
		same = strvec_has(b, a->p[i]);
	}
	return same;
}

void proxy_slots_choose(const struct proxy *p, struct proxy_service *full)
{
	const struct proxy_state *st = &p->state;
	memcpy(full->slots, st->slots, sizeof(full->slots));
	full->slot = st->present ? st->slot : 0;
	bool stays = st->present && same_names(&full->live, &st->live) &&
		     st->slots[st->slot].port == full->app_port;
	if (full->live.len == 0 || stays) {
		return;
	}
	full->slot = st->present ? !st->slot : 0;
	full->slots[full->slot] =
		(struct proxy_slot){.replicas = (int)full->live.len, .port = full->app_port};
	/* Room for the next push, which then needs no load. */
	if (!st->present) {
		full->slots[1] = full->slots[0];
	}
}

static char *set_text(const struct proxy *p, const struct proxy_service *full)
{
	CLEANUP_JSON json_t *j = json_object();
	json_t *live = json_array();
	json_object_set_new(j, "key", json_string(p->key));
	json_object_set_new(j, "release", json_string(full->release ? full->release : ""));
	json_object_set_new(j, "live", live);
	for (size_t i = 0; i < full->live.len; i++) {
		json_array_append_new(live, json_string(full->live.p[i]));
	}
	return json_text(j);
}

/*
 * Empties a slot that holds what its state.json says, in the flight that fills it.  The returned
 * operation fails when there is more.
 */
static const struct sftp_op *queue_clear(
	const struct proxy *p, struct sftp_batch *b, const char *folder)
{
	const struct strvec *names = &p->state.draining;
	CLEANUP_FREE char *state = xasprintf("%s/state.json", folder);

	sftp_remove(b, state);
	for (size_t i = 0; p->state.present && i < names->len; i++) {
		CLEANUP_FREE char *dir = xasprintf("%s/%zu", folder, i);
		CLEANUP_FREE char *name = xasprintf("%s/%s", dir, names->p[i]);
		sftp_remove(b, name);
		sftp_rmdir(b, dir);
	}
	return sftp_rmdir(b, folder);
}

static int fill(struct proxy *p, const struct proxy_service *full, const char *text,
	const char *folder, bool *clear, struct error *err)
{
	CLEANUP_FREE char *state = xasprintf("%s/state.json", folder);
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	struct sftp_op **made = xcalloc(2 * full->live.len + 1, sizeof(struct sftp_op *));
	size_t n = 0;

	const struct sftp_op *gone = queue_clear(p, b, folder);
	for (size_t i = 0; i < full->live.len; i++) {
		CLEANUP_FREE char *one = xasprintf("%s/%zu", folder, i);
		CLEANUP_FREE char *name = xasprintf("%s/%s", one, full->live.p[i]);
		made[n++] = sftp_mkdirs(b, one, 0700);
		made[n++] = sftp_append(b, name, "", 0, 0600);
	}
	/* A new file in a folder that is not looked at yet: nothing needs a rename, which would be
	 * one round trip more. */
	made[n++] = sftp_append(b, state, text, strlen(text), 0600);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	*clear = rc == 0 && (gone->status == SFTP_OK || gone->status == SFTP_NOENT);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (made[i]->status != SFTP_OK) {
			*err = made[i]->error;
			rc = -1;
		}
	}
	free(made);
	sftp_batch_free(b);
	return rc;
}

static int remove_folder(struct proxy *p, const char *folder, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	sftp_rmtree(b, folder, 1024);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	rc = rc == 0 ? sftp_check(b, err) : rc;
	sftp_batch_free(b);
	return rc;
}

int proxy_slots_fill(struct proxy *p, const struct proxy_service *full, struct error *err)
{
	CLEANUP_FREE char *text = set_text(p, full);
	CLEANUP_FREE char *folder = slot_path(p, letters[full->slot]);
	struct error first = {0};
	bool clear = false;

	free(p->filled);
	p->filled = NULL;
	p->undo_refilled = p->undo_refilled || (p->can_undo && full->slot == p->undo_turn.slot);
	int rc = fill(p, full, text, folder, &clear, &first);
	/* More lay there than is known (a push was interrupted): a name too many would be served.
	 */
	if (!clear && first.kind != ERROR_INTERRUPTED && first.kind != ERROR_CONNECT) {
		first = (struct error){0};
		rc = remove_folder(p, folder, &first);
		rc = rc == 0 ? fill(p, full, text, folder, &clear, &first) : rc;
	}
	if (rc < 0) {
		*err = first;
		return -1;
	}
	p->filled = xasprintf("%d %s", full->slot, text);
	return 0;
}

bool proxy_slots_filled(const struct proxy *p, const struct proxy_service *full)
{
	CLEANUP_FREE char *text = set_text(p, full);
	CLEANUP_FREE char *want = xasprintf("%d %s", full->slot, text);
	return str_eq(want, p->filled);
}

static void queue_away(const struct proxy *p, struct sftp_batch *b, const char *message)
{
	CLEANUP_FREE char *page = slot_path(p, "maintenance.html");
	CLEANUP_FREE char *note = slot_path(p, "message");
	struct str html = STR_INIT(MAX_PAGE);
	const char *said = message && *message ? message : "";
	str_addf(&html, "%s<h1>Down for maintenance</h1><p>", proxy_page_head);
	proxy_page_escape(&html, *said ? said : PROXY_DEFAULT_MAINTENANCE);
	str_addf(&html, "</p>%s\n", proxy_page_tail);
	sftp_write(b, note, said, strlen(said), 0600);
	sftp_write(b, page, str_c(&html), html.len, 0600);
	str_fini(&html);
}

int proxy_slots_turn(struct proxy *p, const struct proxy_turn *to, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	CLEANUP_FREE char *marker = slot_path(p, "A");
	CLEANUP_FREE char *page = slot_path(p, "maintenance.html");
	const struct sftp_op *flip =
		to->slot == 0 ? sftp_mkdir(b, marker, 0700) : sftp_rmdir(b, marker);
	const struct sftp_op *gone = to->away ? NULL : sftp_remove(b, page);
	if (to->away) {
		queue_away(p, b, to->message);
	}
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	const struct sftp_op *bad =
		flip->status != SFTP_OK && flip->status != SFTP_EXIST && flip->status != SFTP_NOENT
			? flip
		: gone && gone->status != SFTP_OK && gone->status != SFTP_NOENT ? gone
										: NULL;
	if (rc == 0 && bad) {
		*err = bad->error;
		rc = -1;
	}
	sftp_batch_free(b);
	return rc;
}

void proxy_turn_fini(struct proxy_turn *t)
{
	free(t->message);
	free(t->release);
	strvec_fini(&t->live);
	strvec_fini(&t->draining);
	memset(t, 0, sizeof(*t));
}

void proxy_turn_of_state(struct proxy_turn *t, const struct proxy_state *st)
{
	*t = (struct proxy_turn){.slot = st->present ? st->slot : 0,
		.away = st->maintenance,
		.message = xstrdup(st->message),
		.release = xstrdup(st->release)};
	strvec_copy(&t->live, &st->live);
	strvec_copy(&t->draining, &st->draining);
}

/* What the other slot holds: the names of before, when they were replaced; else as it was. */
void proxy_turn_of_service(
	struct proxy_turn *t, const struct proxy *p, const struct proxy_service *full)
{
	const struct proxy_state *st = &p->state;
	bool flips = !st->present || full->slot != st->slot;
	*t = (struct proxy_turn){.slot = full->slot,
		.away = full->maintenance,
		.message = xstrdup(full->maintenance ? full->maintenance_message : NULL),
		.release = xstrdup(flips ? full->release : st->release)};
	strvec_copy(&t->live, flips ? &full->live : &st->live);
	strvec_copy(&t->draining, flips ? &st->live : &st->draining);
}

void proxy_turn_into_state(const struct proxy_turn *t, struct proxy_state *st)
{
	if (!st->present) {
		return;
	}
	strvec_fini(&st->live);
	strvec_fini(&st->draining);
	strvec_copy(&st->live, &t->live);
	strvec_copy(&st->draining, &t->draining);
	free(st->release);
	free(st->message);
	st->release = xstrdup(t->release ? t->release : "");
	st->message = xstrdup(t->message ? t->message : "");
	st->slot = t->slot;
	st->maintenance = t->away;
}

void proxy_slots_remove(struct proxy *p, struct sftp_batch *b)
{
	CLEANUP_FREE char *folder = slot_path(p, "");
	sftp_rmtree(b, folder, 4096);
}
