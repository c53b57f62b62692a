/* SPDX-License-Identifier: MIT */
/* A service's fragment as it comes from a server, and what is rendered from it. */
#include "../../src/proxy/internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_list(const struct strvec *a, const struct strvec *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++) {
		same = str_eq(a->p[i], b->p[i]);
	}
	return same;
}

/* A fragment with what the parsed one says is ours, not edited, and says the same. */
static void check_rendering(const struct proxy_driver *d, const struct proxy_state *st)
{
	struct proxy_service svc = {.service = st->service,
		.destination = *st->destination ? st->destination : NULL,
		.release = *st->release ? st->release : NULL,
		.hosts = &st->hosts,
		.prefixes = &st->prefixes,
		.strip_prefix = st->strip,
		.app_port = st->app_port,
		.tls = st->tls,
		.certificate_digest = *st->certificate ? st->certificate : NULL,
		.ssl_redirect = st->redirect,
		.live = st->live,
		.draining = st->draining,
		.maintenance = st->maintenance,
		.maintenance_message = *st->message ? st->message : NULL};
	struct error err = {0};

	svc.certificate_digest = svc.tls == CONFIG_TLS_GIVEN ? "0123456789abcdef" : NULL;
	if (svc.tls != CONFIG_TLS_GIVEN && proxy_service_check(&svc, &err) < 0) {
		return; /* could never have been written by us */
	}
	CLEANUP_STR struct str out = STR_INIT(PROXY_MAX_FRAGMENT);
	CLEANUP_FREE char *key = proxy_service_key(svc.service, svc.destination);
	CLEANUP_FREE char *sid = proxy_sid(key);
	struct proxy_render r = {.svc = &svc,
		.key = key,
		.sid = sid,
		.dir = "services",
		.http_port = 80,
		.https_port = 443};
	struct proxy_state again;
	char id[PROXY_ID_SIZE];
	if (svc.tls == CONFIG_TLS_GIVEN) {
		return; /* needs a certificate to be judged */
	}
	proxy_render_fragment(d, &r, id, &out);
	if (out.overflow) {
		return;
	}
	proxy_state_parse(&again, out.p, out.len);
	assert(again.present && !again.edited && str_eq(again.id, id));
	assert(str_eq(again.service, st->service) && again.app_port == st->app_port);
	assert(str_eq(again.destination, st->destination));
	assert(same_list(&again.hosts, &st->hosts));
	/* With slots, what a switch sets stands in files of its own. */
	assert(d->slots || same_list(&again.live, &st->live));
	assert(d->slots || str_eq(again.message, st->message));
	assert(same_list(&again.prefixes, &st->prefixes) && again.tls == st->tls);
	proxy_state_fini(&again);
	/* One byte more, and it was changed by hand. */
	str_addc(&out, '\n');
	proxy_state_parse(&again, out.p, out.len);
	assert(again.present && again.edited);
	proxy_state_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_state st;
	/* A read file has a NUL behind it. */
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	str_addn(&text, data, size);
	proxy_state_parse(&st, str_c(&text), text.len);
	if (st.present) {
		assert(st.service != NULL && *st.service != '\0' && st.id != NULL);
		check_rendering(&proxy_caddy, &st);
		check_rendering(&proxy_nginx, &st);
		check_rendering(&proxy_traefik, &st);
	}
	proxy_state_fini(&st);
	(void)proxy_count_connections(str_c(&text), 3000, "0300120A");
	(void)proxy_facts_version(str_c(&text), text.len);
	assert(proxy_version_parse(str_c(&text)) >= 0);
	return 0;
}
