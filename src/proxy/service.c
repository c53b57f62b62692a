/* SPDX-License-Identifier: MIT */
#include "proxy/service.h"
#include "manifest/syntax.h"
#include "proxy/certificate.h"
#include "proxy/driver.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LEN   128
#define PREFIX_MAX_LEN 256
#define MESSAGE_MAX    500 /* characters; escaped it still fits nginx's 4096 bytes a parameter */

void proxy_service_init(
	struct proxy_service *s, const struct config *c, const struct config_proxy *p)
{
	*s = (struct proxy_service){
		.service = c->service,
		.destination = c->destination,
		.hosts = &p->hosts,
		.prefixes = &p->path_prefixes,
		.strip_prefix = p->strip_path_prefix,
		.app_port = p->app_port,
		.tls = p->tls,
		.tls_settings = &p->tls_settings,
		.ssl_redirect = p->ssl_redirect,
		.health_path = p->health.kind == CONFIG_HEALTH_HTTP ? p->health.path : NULL,
		.response_timeout_ms = p->response_timeout_ms,
		.max_request_body = p->max_request_body,
		.buffer_requests = p->buffer_requests,
		.buffer_responses = p->buffer_responses,
		.response_headers = &p->response_headers,
		.compress = p->compress,
		.rate_limits = &p->rate_limits,
		.balancing = &p->balancing,
		.circuit_breaker = p->circuit_breaker,
		.snippet_kept = p->snippet != NULL,
		.snippet_name = p->snippet_name,
		.log_request = &p->log_request_headers,
		.log_response = &p->log_response_headers,
		.own_pages = c->error_pages_path != NULL,
		.forward_headers = p->forward_headers,
	};
}

void proxy_service_fini(struct proxy_service *s)
{
	strvec_fini(&s->live);
	strvec_fini(&s->draining);
	memset(s, 0, sizeof(*s));
}

void proxy_config_init(struct proxy_config *pc, const struct config *c)
{
	*pc = (struct proxy_config){
		.driver = c->proxy.driver,
		.image = c->proxy.image,
		.network = c->network,
		.http_port = c->proxy.http_port,
		.https_port = c->proxy.https_port,
		.bind_ips = &c->proxy.bind_ips,
		.no_ports = !c->proxy.publish,
		.metrics_port = c->proxy.metrics_port,
		.metrics_ip = c->proxy.metrics_ip,
		.acme_email = c->proxy.acme.email,
		.acme_server = c->proxy.acme.server,
		.acme_ca = c->proxy.acme.ca_pem,
		.log_max_size = syntax_size(c->proxy.log_max_size),
		.options = &c->proxy.options,
	};
}

/* Letters, digits and the given ones; not empty, not too long. */
static bool made_of(const char *s, const char *others, size_t max)
{
	size_t n = s ? strlen(s) : 0;
	if (n == 0 || n > max) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0x80 ||
			(!isalnum((unsigned char)s[i]) && !strchr(others, s[i]))) {
			return false;
		}
	}
	return true;
}

static bool is_host(const char *s)
{
	const char *rest = str_starts(s, "*.") ? s + 2 : s;
	return made_of(rest, "-._", 253) && *rest != '.' && *rest != '-' && !strstr(rest, "..");
}

static int check_names(const struct proxy_service *s, struct error *err)
{
	if (!made_of(s->service, "-_.", NAME_MAX_LEN) || !isalnum((unsigned char)*s->service)) {
		return error_set(err, ERROR_MANIFEST, "'%s' is no name for a service", s->service);
	}
	if (s->destination && *s->destination && !made_of(s->destination, "-_.", NAME_MAX_LEN)) {
		return error_set(
			err, ERROR_MANIFEST, "'%s' is no name for a destination", s->destination);
	}
	for (size_t i = 0; s->hosts && i < s->hosts->len; i++) {
		if (!is_host(s->hosts->p[i])) {
			return error_set(
				err, ERROR_MANIFEST, "'%s' is no host name", s->hosts->p[i]);
		}
	}
	for (size_t i = 0; s->prefixes && i < s->prefixes->len; i++) {
		const char *x = s->prefixes->p[i];
		if (!made_of(x, "-._~/", PREFIX_MAX_LEN) || *x != '/' || strstr(x, "//") ||
			strstr(x, "/.")) {
			return error_set(err, ERROR_MANIFEST,
				"'%s' is no path prefix ('/', then letters, digits, - . _ ~)", x);
		}
	}
	for (size_t i = 0; i < s->live.len + s->draining.len; i++) {
		const char *x = i < s->live.len ? s->live.p[i] : s->draining.p[i - s->live.len];
		if (!made_of(x, "-_.", 255)) {
			return error_set(err, ERROR_INTERNAL, "'%s' is no container name", x);
		}
	}
	return 0;
}

static int check_certificate(const struct proxy_service *s, struct error *err)
{
	struct certificate c = {0};
	if (!s->certificate || !s->private_key) {
		return 0; /* plan renders without the secrets */
	}
	int rc = certificate_read(s->certificate, &c, err);
	if (rc == 0) {
		rc = certificate_check_key(&c, s->private_key, err);
	}
	certificate_fini(&c);
	return rc;
}

int proxy_service_check(const struct proxy_service *s, struct error *err)
{
	if (check_names(s, err) < 0) {
		return -1;
	}
	if (s->app_port < 1 || s->app_port > 65535) {
		return error_set(err, ERROR_MANIFEST, "%d is no port", s->app_port);
	}
	if (s->tls == CONFIG_TLS_AUTO && (!s->hosts || s->hosts->len == 0)) {
		return error_set(err, ERROR_MANIFEST,
			"an automatic certificate needs a host name ('proxy.host')");
	}
	if (s->maintenance_message && strlen(s->maintenance_message) > MESSAGE_MAX) {
		return error_set(err, ERROR_USAGE, "the maintenance message has more than %d bytes",
			MESSAGE_MAX);
	}
	return check_certificate(s, err);
}
