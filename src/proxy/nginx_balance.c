/* SPDX-License-Identifier: MIT */
/*
 * nginx: `load_balancing`, and further headers in the access log.
 *
 * An `upstream` block knows every policy, keeps count over all workers (`zone`) and tries another
 * container, but it resolves names when nginx starts, and one that is not there keeps it from
 * starting (see nginx.c).  So its servers are unix sockets of nginx itself, one for each container,
 * and behind each socket is a server that looks its container up when a request comes.  The price
 * is a second pass through nginx; what that one cannot reach it hangs up on (444), so that the
 * first one takes another container or, at last, shows its own page.
 *
 * A sticky client's cookie is a digest of the container's name: of one that has retired it is not
 * known, and the request goes to any of the new ones and gets that one's cookie.
 *
 * An old worker may still be choosing among the old ones when the new ones' sockets are there:
 * both have the same names, and a container is behind each of the old ones too.
 */
#include "internal.h"

#include "util/digest.h"

#include <ctype.h>
#include <string.h>

#define SOCKET "unix:" PROXY_RUN "/lb-%s-%zu.sock"
#define HOP_MS 5000
#define SERVER "\tserver " SOCKET " max_fails=2 fail_timeout=5s%s;\n"

static const char *const policies[] = {
	[CONFIG_BALANCE_DEFAULT] = "\trandom;\n",
	[CONFIG_BALANCE_ROUND_ROBIN] = "",
	[CONFIG_BALANCE_LEAST_CONN] = "\tleast_conn;\n",
	[CONFIG_BALANCE_RANDOM] = "\trandom;\n",
	[CONFIG_BALANCE_IP_HASH] = "\tip_hash;\n",
};

static void add_upstream(const struct proxy_render *r, struct str *out)
{
	str_addf(out, "upstream deploy_lb_%s {\n\tzone deploy_lb_%s 64k;\n%s", r->sid, r->sid,
		policies[r->svc->balancing->policy]);
	VEC_FOREACH (&r->svc->live, i) {
		str_addf(out, SERVER, r->sid, i, "");
	}
	str_add(out, "}\n");
}

/* The server behind a socket. */
static void add_hop(const struct proxy_render *r, size_t i, struct str *out)
{
	const struct proxy_service *s = r->svc;
	/* The first pass is to run out of time, which tells that apart from a container that is not
	 * there. */
	int ms = (s->response_timeout_ms > 0 ? s->response_timeout_ms : 30000) + HOP_MS;
	str_addf(out,
		"server {\n\tlisten " SOCKET ";\n\taccess_log off;\n\tclient_max_body_size 0;\n"
		"\terror_page 502 504 = @gone;\n\tlocation @gone {\n\t\treturn 444;\n\t}\n"
		"\tlocation / {\n\t\tset $deploy_container \"%s:%d\";\n",
		r->sid, i, s->live.p[i % s->live.len], s->app_port);
	nginx_add_proxy_headers(out, "\t\t");
	str_addf(out,
		"\t\tproxy_set_header Host $http_host;\n"
		"\t\tproxy_hide_header X-Deploy-Container;\n"
		"\t\tadd_header X-Deploy-Container $deploy_container always;\n"
		"\t\tproxy_connect_timeout 2s;\n\t\tresolver_timeout 2s;\n\t\tproxy_read_timeout "
		"%dms;\n"
		"\t\tproxy_send_timeout %dms;\n\t\tproxy_request_buffering off;\n"
		"\t\tproxy_buffering off;\n\t\tproxy_pass http://$deploy_container;\n\t}\n}\n",
		ms, ms);
}

/* What a client's cookie says. */
static void token(const char *container, char out[17])
{
	char hex[DIGEST_HEX_SIZE];
	digest_sha256_hex(container, strlen(container), hex);
	snprintf(out, 17, "%.16s", hex);
}

/* Where a cookie leads to, and which one an answer gets: none when the client has it. */
static void add_sticky(const struct proxy_render *r, struct str *out)
{
	const struct config_balancing *b = r->svc->balancing;
	const struct strvec *live = &r->svc->live;
	char t[17];
	VEC_FOREACH (live, i) {
		str_addf(out, "upstream deploy_pin_%s_%zu {\n\tzone deploy_pin_%s_%zu 64k;\n",
			r->sid, i, r->sid, i);
		VEC_FOREACH (live, j) {
			str_addf(out, SERVER, r->sid, j, j == i ? "" : " backup");
		}
		str_add(out, "}\n");
	}
	str_addf(out, "map $cookie_%s $deploy_up_%s {\n\tdefault deploy_lb_%s;\n", b->cookie,
		r->sid, r->sid);
	VEC_FOREACH (live, i) {
		token(live->p[i], t);
		str_addf(out, "\t\"%s\" deploy_pin_%s_%zu;\n", t, r->sid, i);
	}
	str_addf(out, "}\nmap $upstream_addr $deploy_token_%s {\n\tdefault \"\";\n", r->sid);
	VEC_FOREACH (live, i) {
		token(live->p[i], t);
		str_addf(out, "\t\"~/lb-%s-%zu\\.sock$\" \"%s\";\n", r->sid, i, t);
	}
	str_addf(out,
		"}\nmap \"$deploy_token_%s:$cookie_%s\" $deploy_cookie_%s {\n"
		"\tdefault \"%s=$deploy_token_%s; Path=/; HttpOnly; SameSite=Lax%s",
		r->sid, b->cookie, r->sid, b->cookie, r->sid, b->secure ? "; Secure" : "");
	if (b->max_age_s > 0) {
		str_addf(out, "; Max-Age=%lld", (long long)b->max_age_s);
	}
	str_add(out, "\";\n\t\"~^:\" \"\";\n");
	VEC_FOREACH (live, i) {
		token(live->p[i], t);
		str_addf(out, "\t\"%s:%s\" \"\";\n", t, t);
	}
	str_add(out, "}\n");
}

void nginx_render_balance(const struct proxy_render *r, struct str *out)
{
	size_t live = r->svc->live.len, old = r->svc->draining.len;
	add_upstream(r, out);
	if (r->svc->balancing->cookie) {
		add_sticky(r, out);
	} else {
		str_addf(out, "map '' $deploy_up_%s {\n\tdefault deploy_lb_%s;\n}\n", r->sid,
			r->sid);
	}
	for (size_t i = 0; i < (live > old ? live : old); i++) {
		add_hop(r, i, out);
	}
}

/* -- The access log -- */

bool nginx_logs(const struct proxy_service *s)
{
	return (s->log_request && s->log_request->len > 0) ||
	       (s->log_response && s->log_response->len > 0);
}

/* Each header is a word of its own: nginx bounds words, not lines. */
static void add_logged(
	const struct strvec *names, const char *key, const char *prefix, struct str *out)
{
	str_addf(out, "\n\t',\"%s\":{'", key);
	for (size_t i = 0; names && i < names->len; i++) {
		str_addf(out, "\n\t'%s\"%s\":\"$%s", i ? "," : "", names->p[i], prefix);
		for (const char *c = names->p[i]; *c; c++) {
			str_addc(out, *c == '-' ? '_' : (char)tolower((unsigned char)*c));
		}
		str_add(out, "\"'");
	}
	str_add(out, "\n\t'}'");
}

void nginx_render_log(const struct proxy_render *r, struct str *out)
{
	const struct proxy_service *s = r->svc;
	if (!nginx_logs(s)) {
		return;
	}
	/* What comes by the probe's socket is no user's request. */
	str_addf(out,
		"map $remote_addr $deploy_logged_%s {\n\tdefault 1;\n\t\"unix:\" 0;\n}\n"
		"log_format deploy_%s escape=json '{%s'",
		r->sid, r->sid, nginx_log_fields);
	add_logged(s->log_request, "request_headers", "http_", out);
	add_logged(s->log_response, "response_headers", "sent_http_", out);
	str_add(out, "\n\t'}';\n");
}
