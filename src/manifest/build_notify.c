/* SPDX-License-Identifier: MIT */
/* notify: */
#include "internal.h"

#include "manifest/syntax.h"

#include <string.h>

/* Which of the kinds an entry is; exactly one. */
static bool notify_kind(struct build *b, const struct node *n, struct config_notify *out)
{
	static const char *const keys[] = {
		[CONFIG_NOTIFY_WEBHOOK] = "webhook",
		[CONFIG_NOTIFY_SLACK] = "slack",
		[CONFIG_NOTIFY_EMAIL] = "email",
	};
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct node_item *item = node_find(n, keys[i]);

		if (item == NULL || node_is_null(item->value)) {
			continue;
		}
		if (found != NULL) {
			mistake(b, item->key, "two entries of the list", "either '%s' or '%s'",
				found, keys[i]);
			return false;
		}
		found = keys[i];
		out->kind = (enum config_notify_kind)i;
	}
	if (found == NULL) {
		mistake(b, n, NULL, "'notify' has to name 'webhook', 'slack' or 'email'");
	}
	return found != NULL;
}

/* Keys that belong to another kind of entry. */
static void refuse_foreign(struct build *b, const struct node *n, enum config_notify_kind kind)
{
	static const struct {
		const char *key;
		enum config_notify_kind kind;
	} keys[] = {{"secret", CONFIG_NOTIFY_WEBHOOK}, {"from", CONFIG_NOTIFY_EMAIL},
		{"smtp", CONFIG_NOTIFY_EMAIL}, {"tls", CONFIG_NOTIFY_EMAIL},
		{"username", CONFIG_NOTIFY_EMAIL}, {"password", CONFIG_NOTIFY_EMAIL}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].kind != kind && has(n, keys[i].key)) {
			mistake(b, node_find(n, keys[i].key)->key, NULL, "'%s' is only for %s",
				keys[i].key,
				keys[i].kind == CONFIG_NOTIFY_EMAIL ? "e-mail" : "webhooks");
		}
	}
}

static unsigned notify_events(struct build *b, const struct node *n)
{
	static const struct {
		const char *word;
		unsigned bit;
	} events[] = {{"success", CONFIG_NOTIFY_SUCCESS}, {"failure", CONFIG_NOTIFY_FAILURE},
		{"rollback", CONFIG_NOTIFY_ROLLBACK}, {"check", CONFIG_NOTIFY_CHECK}};
	struct strvec on = {0};
	unsigned bits = 0;

	get_list(b, n, "on", false, &on);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (on.len == 0 || strvec_has(&on, events[i].word)) {
			bits |= events[i].bit;
		}
	}
	return bits;
}

static void build_email(struct build *b, const struct node *n, struct config_notify *out)
{
	const char *tls = get_text(n, "tls", "starttls");

	get_list(b, n, "email", false, &out->to);
	out->from = get_text(n, "from", NULL);
	out->smtp = get_text(n, "smtp", "localhost:25");
	if (strrchr(out->smtp, ':') == NULL) {
		out->smtp = arena_printf(
			b->arena, "%s:%d", out->smtp, strcmp(tls, "tls") == 0 ? 465 : 587);
	}
	out->username = get_text(n, "username", NULL);
	out->password_secret = get_secret(n, "password");
	out->tls = strcmp(tls, "tls") == 0;
	out->starttls = strcmp(tls, "starttls") == 0 && !str_starts(out->smtp, "localhost:") &&
			!str_starts(out->smtp, "127.");
	if ((out->username == NULL) != (out->password_secret == NULL)) {
		mistake(b, n, NULL, "'username' and 'password' belong together");
	}
	if (out->username != NULL && !out->tls && !out->starttls) {
		mistake(b, node_get(n, "username"), "tls: starttls",
			"a password is not sent without TLS");
	}
}

static void build_entry(struct build *b, const struct node *n)
{
	struct config_notify out = {.mark = mark_at(n)};
	const struct node *url;

	if (!usable(n) || n->kind != NODE_MAP || !notify_kind(b, n, &out)) {
		return;
	}
	refuse_foreign(b, n, out.kind);
	out.on = notify_events(b, n);
	url = node_get(n, out.kind == CONFIG_NOTIFY_SLACK ? "slack" : "webhook");
	if (out.kind == CONFIG_NOTIFY_EMAIL) {
		build_email(b, n, &out);
	} else if (usable(url) && url->kind == NODE_SCALAR) {
		out.url = url->text;
	} else if (usable(url)) {
		out.url_secret =
			url->len == 1 && usable(url->p[0].value) ? url->p[0].value->text : NULL;
		if (out.url_secret == NULL) {
			mistake(b, url, NULL, "one secret has to be named");
		}
	}
	out.sign_secret = get_secret(n, "secret");
	arena_push(b->arena, &b->c->notify, out);
}

void build_notify(struct build *b)
{
	const struct node *n = node_get(b->root, "notify");

	if (usable(n) && n->kind == NODE_MAP) {
		build_entry(b, n);
	}
	for (size_t i = 0; usable(n) && n->kind == NODE_LIST && i < n->len; i++) {
		build_entry(b, n->p[i].value);
	}
}
