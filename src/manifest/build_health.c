/* SPDX-License-Identifier: MIT */
/* healthcheck: of the proxy, a role or an accessory. */
#include "internal.h"

#include "manifest/syntax.h"

#include <string.h>

/* Which of the kinds of checks is meant; several are a mistake. */
static enum config_health_kind health_kind(struct build *b, const struct node *h)
{
	static const struct {
		const char *key;
		enum config_health_kind kind;
	} kinds[] = {{"path", CONFIG_HEALTH_HTTP}, {"cmd", CONFIG_HEALTH_CMD},
		{"tcp", CONFIG_HEALTH_TCP}, {"docker", CONFIG_HEALTH_DOCKER}};
	const char *first = NULL;
	enum config_health_kind kind = CONFIG_HEALTH_HTTP;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *text = get_text(h, kinds[i].key, NULL);
		bool flag = i >= 2;

		if (text == NULL || (flag && syntax_bool(text) == 0)) {
			continue;
		}
		if (first != NULL) {
			mistake(b, node_find(h, kinds[i].key)->key, NULL,
				"'healthcheck' has either '%s' or '%s', not both", first,
				kinds[i].key);
			break;
		}
		first = kinds[i].key;
		kind = kinds[i].kind;
	}
	return kind;
}

void build_health(struct build *b, const struct node *h, int port, struct config_health *out)
{
	const char *tcp = get_text(h, "tcp", NULL);

	*out = (struct config_health){
		.kind = CONFIG_HEALTH_HTTP, .interval_ms = 1000, .timeout_ms = 5000};
	out->port = port;
	if (usable(h) && h->kind == NODE_SCALAR) {
		if (syntax_bool(h->text) == 0) {
			out->kind = CONFIG_HEALTH_RUNNING;
		}
	} else if (usable(h)) {
		out->kind = health_kind(b, h);
		out->cmd = get_text(h, "cmd", NULL);
		out->port = get_int(h, "port", port);
		out->interval_ms = get_ms(h, "interval", 1000);
		out->timeout_ms = get_ms(h, "timeout", 5000);
		if (tcp != NULL && syntax_bool(tcp) < 0) {
			out->port = get_int(h, "tcp", port);
		}
	}
	if (out->kind == CONFIG_HEALTH_HTTP) {
		out->path = get_text(h, "path", "/up");
	}
	if (out->port == 0 && (out->kind == CONFIG_HEALTH_HTTP || out->kind == CONFIG_HEALTH_TCP)) {
		mistake(b, h, "healthcheck: {cmd: ...}, or {path: /up, port: 8080}, or {tcp: 5432}",
			"'healthcheck' names no port");
	}
}
