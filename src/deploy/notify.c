/* SPDX-License-Identifier: MIT */
/* notify: tells of a release, or of what check found, by webhook, Slack's or e-mail.  Failing is
 * only warned about. */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/thread.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS  15000
#define HURRY_MS    3000 /* after Ctrl-C somebody waits for the end */
#define MESSAGE_MAX ((size_t)256 << 10)

struct news {
	struct deployment *d;
	unsigned event;   /* CONFIG_NOTIFY_* */
	const char *text; /* for people, its first line the subject of a mail; scrubbed, as is: */
	const json_t *details;
	long timeout_ms;
};

static const char *event_name(unsigned event)
{
	return event == CONFIG_NOTIFY_FAILURE    ? "failure"
	       : event == CONFIG_NOTIFY_ROLLBACK ? "rollback"
	       : event == CONFIG_NOTIFY_CHECK    ? "check"
						 : "success";
}

static const char *reveal(const struct news *n, const char *name)
{
	const struct secret *s = name ? secret_map_get(&n->d->secrets, name) : NULL;
	return s ? secret_reveal(s) : NULL;
}

static size_t drop(char *data, size_t size, size_t count, void *ctx)
{
	(void)data;
	(void)ctx;
	return size * count;
}

/* What both have in common; the URL may be a secret, so curl's own words about it are not shown. */
static CURL *open_curl(const struct news *n, const char *url)
{
	CURL *curl = curl_easy_init();
	if (curl) {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, n->timeout_ms);
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
	}
	return curl;
}

static int post(
	const struct news *n, const struct config_notify *to, const char *url, struct error *err)
{
	json_t *j = to->kind == CONFIG_NOTIFY_SLACK ? json_pack("{s:s}", "text", n->text)
						    : json_deep_copy(n->details);
	CLEANUP_FREE char *body = json_dumps(j, JSON_COMPACT);
	const char *key = reveal(n, to->sign_secret);
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CLEANUP_FREE char *event = xasprintf("X-Deploy-Event: %s", event_name(n->event));
	CURL *curl = open_curl(n, url);
	long status = 0;

	json_decref(j);
	headers = curl_slist_append(headers, event);
	if (key) {
		char hex[DIGEST_HEX_SIZE];
		digest_hmac_hex(key, strlen(key), body, strlen(body), hex);
		CLEANUP_FREE char *line = xasprintf("X-Deploy-Signature: sha256=%s", hex);
		headers = curl_slist_append(headers, line);
	}
	CURLcode rc = CURLE_FAILED_INIT;
	if (curl) {
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		rc = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (rc != CURLE_OK) {
		return error_set(err, ERROR_REMOTE, "%s", curl_easy_strerror(rc));
	}
	return status >= 200 && status < 300
		       ? 0
		       : error_set(err, ERROR_REMOTE, "the answer was %ld", status);
}

struct mail {
	const char *p;
	size_t left;
};

static size_t read_mail(char *buf, size_t size, size_t count, void *ctx)
{
	struct mail *m = ctx;
	size_t n = size * count < m->left ? size * count : m->left;
	memcpy(buf, m->p, n);
	m->p += n;
	m->left -= n;
	return n;
}

/* Whatever a commit's subject holds, a header stays one line; RFC 2047 when it is not ASCII. */
static void add_subject(struct str *out, const char *text)
{
	CLEANUP_FREE char *line = xstrndup(text, strcspn(text, "\r\n"));
	bool ascii = true;
	for (const char *p = line; *p; p++) {
		ascii = ascii && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7F;
	}
	if (ascii) {
		str_addf(out, "Subject: %s\r\n", line);
		return;
	}
	CLEANUP_FREE char *coded = digest_base64(line, strlen(line), 0);
	str_addf(out, "Subject: =?UTF-8?B?%s?=\r\n", coded);
}

static void write_mail(
	const struct news *n, const struct config_notify *to, const char *from, struct str *out)
{
	char when[64], id[33];
	time_t now = time(NULL);
	struct tm tm;
	json_t *j = json_deep_copy(n->details);
	CLEANUP_FREE char *text = json_dumps(j, JSON_INDENT(2));
	CLEANUP_FREE char *body = NULL;

	json_decref(j);
	CLEANUP_FREE char *plain = xasprintf("%s\n\n%s\n", n->text, text);
	body = digest_base64(plain, strlen(plain), 0);
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	digest_random_hex(16, id);
	str_addf(out, "Date: %s\r\nFrom: %s\r\nMessage-ID: <%s@deploy>\r\n", when, from, id);
	VEC_FOREACH (&to->to, i) {
		str_addf(out, "%s%s", i ? ",\r\n " : "To: ", to->to.p[i]);
	}
	str_add(out, "\r\n");
	add_subject(out, n->text);
	str_add(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		     "Content-Transfer-Encoding: base64\r\n\r\n");
	for (size_t at = 0; at < strlen(body); at += 76) {
		str_addf(out, "%.76s\r\n", body + at);
	}
}

/* "Name <a@b>" is a@b on the envelope. */
static char *address(const char *text)
{
	const char *open = strchr(text, '<');
	return open ? xstrndup(open + 1, strcspn(open + 1, ">")) : xstrdup(text);
}

static int mail(const struct news *n, const struct config_notify *to, struct error *err)
{
	CLEANUP_STR struct str text = STR_INIT(MESSAGE_MAX);
	CLEANUP_FREE char *from =
		to->from ? xstrdup(to->from) : xasprintf("deploy@%s", n->d->operator_host);
	CLEANUP_FREE char *sender = address(from);
	CLEANUP_FREE char *url = xasprintf("%s://%s", to->tls ? "smtps" : "smtp", to->smtp);
	const char *password = reveal(n, to->password_secret);
	struct curl_slist *recipients = NULL;
	CURL *curl = open_curl(n, url);
	CURLcode rc = CURLE_FAILED_INIT;

	write_mail(n, to, from, &text);
	struct mail m = {str_c(&text), text.len};
	VEC_FOREACH (&to->to, i) {
		CLEANUP_FREE char *one = address(to->to.p[i]);
		recipients = curl_slist_append(recipients, one);
	}
	if (curl) {
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
		curl_easy_setopt(curl, CURLOPT_USE_SSL,
			to->starttls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
		if (password) {
			curl_easy_setopt(curl, CURLOPT_USERNAME, to->username);
			curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
		}
		curl_easy_setopt(curl, CURLOPT_MAIL_FROM, sender);
		curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_mail);
		curl_easy_setopt(curl, CURLOPT_READDATA, &m);
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		rc = curl_easy_perform(curl);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(recipients);
	return rc == CURLE_OK ? 0 : error_set(err, ERROR_REMOTE, "%s", curl_easy_strerror(rc));
}

static void tell(void *ctx, size_t i)
{
	static const char *const kinds[] = {[CONFIG_NOTIFY_WEBHOOK] = "webhook",
		[CONFIG_NOTIFY_SLACK] = "slack",
		[CONFIG_NOTIFY_EMAIL] = "email"};
	const struct news *n = ctx;
	const struct config_notify *to = &n->d->config->notify.p[i];
	const char *url = to->url_secret ? reveal(n, to->url_secret) : to->url;
	struct error err = {0};
	int rc = 0;

	if (!(to->on & n->event)) {
		return;
	}
	if (to->kind == CONFIG_NOTIFY_EMAIL) {
		rc = mail(n, to, &err);
	} else if (url) {
		rc = post(n, to, url, &err);
	} else {
		rc = error_set(&err, ERROR_REMOTE, "secret '%s' is not known", to->url_secret);
	}
	if (rc < 0) {
		ui_warn(n->d->ui, NULL, "notify (%s:%d, %s): %s", to->mark.file, to->mark.line,
			kinds[to->kind], err.text);
	}
}

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Takes `details`; `text` is in them, too. */
static void tell_all(struct deployment *d, unsigned event, const char *text, json_t *details)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct news n = {
		.d = d,
		.event = event,
		.text = text,
		.details = details,
		.timeout_ms = cancel_shielded() ? HURRY_MS : TIMEOUT_MS,
	};
	struct error err = {0};
	/* A rollback needs no secret of the application, but these. */
	if (deployment_load_secrets(d, SECRETS_NOTIFY, &err) < 0) {
		ui_warn(d->ui, NULL, "notify: %s", err.text);
	}
	pthread_once(&once, start_curl);
	pool_run(d->config->notify.len, d->config->notify.len, tell, &n);
	json_decref(details);
}

/* -- A release -- */

struct told {
	struct deployment *d;
	const struct release *release;
	const struct error *why; /* NULL: it is live */
	unsigned event;
};

/* "shop (staging): version 1a2b3c is live on 2 hosts (release 7), by ann@example.com" */
static char *headline(const struct told *n)
{
	const struct config *c = n->d->config;
	const struct release *r = n->release;
	CLEANUP_FREE char *service = c->destination
					     ? xasprintf("%s (%s)", c->service, c->destination)
					     : xstrdup(c->service);
	if (n->why) {
		return xasprintf("%s: %s of version %s failed: %s%s%s, by %s", service, r->command,
			r->version, n->why->host[0] ? n->why->host : "",
			n->why->host[0] ? ": " : "", n->why->text, r->performer);
	}
	return xasprintf("%s: %sversion %s is live on %zu host%s (release %ld), by %s", service,
		n->event == CONFIG_NOTIFY_ROLLBACK ? "rolled back: " : "", r->version, r->hosts.len,
		r->hosts.len == 1 ? "" : "s", r->number, r->performer);
}

static json_t *details(const struct told *n, const char *text, const char *reason)
{
	const struct config *c = n->d->config;
	const struct release *r = n->release;
	json_t *hosts = json_array();
	for (size_t i = 0; i < r->hosts.len; i++) {
		json_array_append_new(hosts, json_string(r->hosts.p[i].key));
	}
	return json_pack(
		"{s:s, s:s, s:s, s:s*, s:s, s:I, s:s*, s:s*, s:s, s:s, s:I, s:I, s:o, s:s*, "
		"s:s*}",
		"event", event_name(n->event), "text", text, "service", c->service, "destination",
		c->destination, "version", r->version, "release", (json_int_t)r->number, "commit",
		r->commit, "subject", r->subject, "command", r->command, "performer", r->performer,
		"replaced", (json_int_t)r->replaced, "duration_ms",
		(json_int_t)(clock_mono_ms() - n->d->begun_ms), "hosts", hosts, "reason", reason,
		"host", n->why && n->why->host[0] ? n->why->host : NULL);
}

void notify_release(struct deployment *d, const struct release *release, const struct error *why)
{
	struct told n = {
		.d = d,
		.release = release,
		.why = why,
		.event = why                                ? CONFIG_NOTIFY_FAILURE
			 : release->runs != release->number ? CONFIG_NOTIFY_ROLLBACK
							    : CONFIG_NOTIFY_SUCCESS,
	};
	if (d->config->notify.len == 0) {
		return;
	}
	CLEANUP_FREE char *plain = headline(&n);
	CLEANUP_FREE char *text = ui_scrub(d->ui, plain);
	CLEANUP_FREE char *reason = why ? ui_scrub(d->ui, why->text) : NULL;
	tell_all(d, n.event, text, details(&n, text, reason));
}

/* -- What check found -- */

int notify_check_wanted(const struct deployment *d, struct error *err)
{
	bool any = false;
	VEC_FOREACH (&d->config->notify, i) {
		any = any || (d->config->notify.p[i].on & CONFIG_NOTIFY_CHECK);
	}
	if (any) {
		return 0;
	}
	error_set(err, ERROR_MANIFEST,
		"--notify: no entry of 'notify' is told of what 'check' finds");
	return error_hint(err, "notify: [{email: ops@example.com, on: [check]}]");
}

void notify_check(struct deployment *d, const char *text, json_t *findings)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	CLEANUP_FREE char *plain = xasprintf("%s: check: %s", key, text);
	CLEANUP_FREE char *scrubbed = ui_scrub(d->ui, plain);
	tell_all(d, CONFIG_NOTIFY_CHECK, scrubbed,
		json_pack("{s:s, s:s, s:s, s:s*, s:s, s:o}", "event", "check", "text", scrubbed,
			"service", d->config->service, "destination", d->config->destination,
			"performer", d->performer ? d->performer : "", "findings", findings));
}
