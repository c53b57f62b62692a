/* SPDX-License-Identifier: MIT */
#include "certificates.h"

#include "util/clock.h"

#include <string.h>
#include <unistd.h>

/* -- Given by secrets -- */

/* The host name that it is not for, or NULL. */
static const char *name_without(
	const struct certificate *c, const struct strvec *hosts, int64_t now)
{
	VEC_FOREACH (hosts, i) {
		if (certificate_judge(c, hosts->p[i], false, now) == CERTIFICATE_OTHER_NAME) {
			return hosts->p[i];
		}
	}
	return NULL;
}

static void judge_given(const struct config_proxy *p, const struct secret *pem,
	const struct secret *key, certificate_fn *found, void *ctx)
{
	int64_t now = clock_wall_ms();
	struct certificate c = {0};
	struct error err = {0};
	struct certificate_finding f = {0};
	CLEANUP_FREE char *what = NULL, *text = NULL;
	if (certificate_read(pem, &c, &err) < 0 || certificate_check_key(&c, key, &err) < 0) {
		f.error = &err;
		f.mend = "give a key and the certificate that was made with it";
		what = xasprintf(
			"%s and %s: %s", p->certificate_secret, p->private_key_secret, err.text);
	} else {
		f.host = name_without(&c, &p->hosts, now);
		f.state = certificate_judge(&c, f.host, false, now);
		text = certificate_text(&c, f.state, now);
		what = xasprintf("%s: the given certificate%s%s%s %s", p->certificate_secret,
			f.host ? " is not for '" : "", f.host ? f.host : "", f.host ? "', it" : "",
			text);
		f.certificate = &c;
		f.mend = f.state == CERTIFICATE_GOOD ? NULL
			 : f.state == CERTIFICATE_OTHER_NAME
				 ? "give one for each host of 'proxy'"
				 : "put a renewed one into the secrets, "
				   "then deploy push";
	}
	f.text = text ? text : err.text;
	f.what = what;
	found(ctx, &f);
	certificate_fini(&c);
}

static void give(
	struct deployment *d, const struct config_proxy *p, certificate_fn *found, void *ctx)
{
	if (p->tls != CONFIG_TLS_GIVEN) {
		return;
	}
	const struct secret *pem = secret_map_get(&d->secrets, p->certificate_secret);
	const struct secret *key = secret_map_get(&d->secrets, p->private_key_secret);
	if (pem && key) {
		judge_given(p, pem, key, found, ctx);
	}
}

void certificates_given(struct deployment *d, certificate_fn *found, void *ctx)
{
	const struct config_roles *roles = &d->config->roles;
	VEC_FOREACH (roles, i) {
		bool again = false;
		for (size_t j = 0; j < i; j++) {
			again = again ||
				(roles->p[j].proxied && roles->p[j].proxy == roles->p[i].proxy);
		}
		if (roles->p[i].proxied && !again) {
			give(d, roles->p[i].proxy, found, ctx);
		}
	}
}

struct checking {
	struct deployment *d;
	struct error *err;
};

static void refuse(void *ctx, const struct certificate_finding *f)
{
	struct checking *c = ctx;
	if (f->error || f->state == CERTIFICATE_OTHER_NAME) {
		error_set(c->err, ERROR_MANIFEST, "%s", f->what);
		error_hint(c->err, "%s", f->mend);
	} else if (f->state != CERTIFICATE_GOOD) {
		ui_warn(c->d->ui, NULL, "%s; %s", f->what, f->mend);
	}
}

int certificates_check(struct deployment *d, struct error *err)
{
	struct error found = {0};
	struct checking c = {d, &found};
	certificates_given(d, refuse, &c);
	if (found.kind != ERROR_NONE) {
		*err = found;
		return -1;
	}
	return 0;
}

/* -- Served -- */

/* The container's address in our network, "" when it has none. */
static const char *container_address(const struct deployment *d, const struct target *t)
{
	const struct docker_container_networks *networks = &t->seen.proxy_container.networks;
	VEC_FOREACH (networks, i) {
		if (str_eq(networks->p[i].name, d->config->network)) {
			return networks->p[i].ip ? networks->p[i].ip : "";
		}
	}
	return "";
}

/* Where users come in, as the server itself sees it; else the container. */
static int dial(struct deployment *d, struct target *t, struct error *err)
{
	const struct config_proxy *p = &d->config->proxy;
	struct error first = {0};
	int fd = -1;
	if (p->publish) {
		fd = host_dial_tcp(t->host, p->bind_ips.len ? p->bind_ips.p[0] : "127.0.0.1",
			p->https_port, &first);
	}
	const char *address = container_address(d, t);
	if (fd < 0 && *address) {
		fd = host_dial_tcp(t->host, address, p->https_port, &first);
	}
	if (fd < 0 && first.kind == ERROR_NONE) {
		error_set(&first, ERROR_REMOTE, "its container has no address");
	}
	if (fd < 0) {
		*err = first;
	}
	return fd;
}

static const char *mend_of(const struct certificate_finding *f, bool given)
{
	if (!f->error && f->state == CERTIFICATE_GOOD) {
		return NULL;
	}
	return given ? "put a renewed one into the secrets, then deploy push"
		     : "let the name lead to this server, with port 80 and 443 open: "
		       "deploy proxy logs tells why none was had";
}

static void ask(
	struct deployment *d, struct target *t, const char *host, certificate_fn *found, void *ctx)
{
	bool given = proxy_live(t->seen.proxy)->tls == CONFIG_TLS_GIVEN;
	int64_t now = clock_wall_ms();
	struct certificate c = {0};
	struct error err = {0};
	struct certificate_finding f = {.server = t->host->name, .host = host};
	CLEANUP_FREE char *what = NULL, *text = NULL;
	int fd = dial(d, t, &err);
	if (fd >= 0 && certificate_served(fd, host, &c, &err) == 0) {
		f.certificate = &c;
		f.state = certificate_judge(&c, host, !given, now);
		text = certificate_text(&c, f.state, now);
		what = xasprintf(
			"%s: the certificate %s, by %s", host ? host : "any name", text, c.issuer);
	} else {
		f.error = &err;
		what = xasprintf("%s: %s", host ? host : "any name", err.text);
	}
	if (fd >= 0) {
		close(fd);
	}
	f.text = text ? text : err.text;
	f.what = what;
	f.mend = mend_of(&f, given);
	found(ctx, &f);
	certificate_fini(&c);
}

void certificates_served(struct deployment *d, struct target *t, certificate_fn *found, void *ctx)
{
	const struct proxy_state *live = t->seen.proxy ? proxy_live(t->seen.proxy) : NULL;
	if (!live || !live->present || live->tls == CONFIG_TLS_NONE || !target_proxy_runs(t)) {
		return;
	}
	VEC_FOREACH (&live->hosts, i) {
		ask(d, t, live->hosts.p[i], found, ctx);
	}
	if (live->hosts.len == 0) {
		ask(d, t, NULL, found, ctx);
	}
}
