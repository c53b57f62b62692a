/* SPDX-License-Identifier: MIT */
#include "service/s3.h"

#include "util/cancel.h"
#include "util/digest.h"
#include "util/fs.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 20000L
#define STALL_S    120L
#define ANSWER_MAX ((size_t)16 << 20)
#define WORDS_MAX  ((size_t)64 << 10)
#define MAX_PAGES  100
#define EMPTY_SHA  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* One request. */
struct call {
	const char *method;
	char *url;
	int in, out;      /* what is sent, where the answer goes; or -1 */
	struct str *text; /* where it goes else, or NULL */
	uint64_t size;    /* of `in` */
	const char *sha256;
	struct str words; /* what was said when it failed */
	CURL *curl;
};

/* As the signature wants a path, and a value of a query, to be written. */
void s3_encode(struct str *out, const char *text, bool slashes)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-_.~", c) || (slashes && c == '/');
		str_addf(out, plain ? "%c" : "%%%02X", c);
	}
}

char *s3_url(const struct s3 *s, const char *key)
{
	struct str url = STR_INIT(STR_MAX_LINE);
	if (s->endpoint) {
		size_t n = strlen(s->endpoint);
		str_addn(&url, s->endpoint, n > 0 && s->endpoint[n - 1] == '/' ? n - 1 : n);
	} else {
		str_addf(&url, "https://s3.%s.amazonaws.com", s->region);
	}
	str_addf(&url, "/%s%s", s->bucket, *key ? "/" : "");
	s3_encode(&url, key, true);
	return str_take(&url);
}

static size_t take(char *data, size_t one, size_t n, void *ctx)
{
	struct call *c = ctx;
	long status = 0;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 300 || (c->out < 0 && !c->text)) {
		str_addn(&c->words, data, n * one);
	} else if (c->out >= 0) {
		return fd_write_all(c->out, data, n * one) < 0 ? 0 : n * one;
	} else {
		str_addn(c->text, data, n * one);
	}
	return n * one;
}

static size_t give(char *buf, size_t one, size_t n, void *ctx)
{
	struct call *c = ctx;
	ssize_t got = read(c->in, buf, one * n);
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* It may have to be sent again, when a connection that was kept turns out to be closed. */
static int go_to(void *ctx, curl_off_t offset, int origin)
{
	struct call *c = ctx;
	return lseek(c->in, offset, origin) < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

static int watch(void *ctx, curl_off_t a, curl_off_t b, curl_off_t e, curl_off_t f)
{
	struct error ignored = {0};
	(void)ctx, (void)a, (void)b, (void)e, (void)f;
	return cancel_check(&ignored) < 0;
}

/* <Message> of the answer, else its <Code>. */
static char *element(const char *text, const char *name)
{
	CLEANUP_FREE char *open = xasprintf("<%s>", name);
	const char *p = strstr(text, open);
	const char *end = p ? strchr(p + strlen(open), '<') : NULL;
	return end ? xstrndup(p + strlen(open), (size_t)(end - p) - strlen(open)) : NULL;
}

static int failed(struct call *c, long status, struct error *err)
{
	CLEANUP_FREE char *message = element(str_c(&c->words), "Message");
	error_set(err, ERROR_REMOTE, "s3: %s (status %ld)",
		message ? message : "the request was refused", status);
	err->status = (int)status;
	return -1;
}

static void set_up(const struct s3 *s, struct call *c, struct curl_slist *headers)
{
	CLEANUP_FREE char *sign = xasprintf("aws:amz:%s:s3", s->region);
	curl_easy_setopt(c->curl, CURLOPT_URL, c->url);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_AWS_SIGV4, sign);
	curl_easy_setopt(c->curl, CURLOPT_USERNAME, secret_reveal(s->access_key));
	curl_easy_setopt(c->curl, CURLOPT_PASSWORD, secret_reveal(s->secret_key));
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, c->method);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, watch);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	if (c->in >= 0) {
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->size);
		curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, give);
		curl_easy_setopt(c->curl, CURLOPT_READDATA, c);
		curl_easy_setopt(c->curl, CURLOPT_SEEKFUNCTION, go_to);
		curl_easy_setopt(c->curl, CURLOPT_SEEKDATA, c);
	}
}

static int run(const struct s3 *s, struct call *c, struct error *err)
{
	CLEANUP_FREE char *sum =
		xasprintf("x-amz-content-sha256: %s", c->sha256 ? c->sha256 : EMPTY_SHA);
	struct curl_slist *headers = curl_slist_append(NULL, sum);
	long status = 0;
	c->words = (struct str)STR_INIT(WORDS_MAX);
	c->curl = curl_easy_init();
	set_up(s, c, headers);
	CURLcode code = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	int result = 0;
	if (cancel_check(err) < 0) {
		result = -1;
	} else if (code != CURLE_OK) {
		result = error_set(err, ERROR_REMOTE, "s3: %s", curl_easy_strerror(code));
	} else if (status >= 300) {
		result = failed(c, status, err);
	}
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(headers);
	str_fini(&c->words);
	free(c->url);
	return result;
}

int s3_put(const struct s3 *s, const char *key, int fd, uint64_t size, const char *sha256,
	struct error *err)
{
	if (size > S3_MAX) {
		return error_set(err, ERROR_REMOTE,
			"it is larger than 5 GiB, which S3 does not take in one request");
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		return error_set(err, ERROR_INTERNAL, "read the backup once more");
	}
	struct call c = {.method = "PUT",
		.url = s3_url(s, key),
		.in = fd,
		.out = -1,
		.size = size,
		.sha256 = sha256};
	return run(s, &c, err);
}

int s3_get(const struct s3 *s, const char *key, int fd, struct error *err)
{
	struct call c = {.method = "GET", .url = s3_url(s, key), .in = -1, .out = fd};
	return run(s, &c, err);
}

int s3_read(const struct s3 *s, const char *key, struct str *out, struct error *err)
{
	struct call c = {.method = "GET", .url = s3_url(s, key), .in = -1, .out = -1, .text = out};
	return run(s, &c, err);
}

int s3_remove(const struct s3 *s, const char *key, struct error *err)
{
	struct call c = {.method = "DELETE", .url = s3_url(s, key), .in = -1, .out = -1};
	return run(s, &c, err);
}

static void add_names(const char *text, const char *prefix, struct strvec *names)
{
	for (const char *p = text; (p = strstr(p, "<Key>")) != NULL; p += 5) {
		CLEANUP_FREE char *key = element(p, "Key");
		const char *name = key && str_starts(key, prefix) ? key + strlen(prefix) : NULL;
		if (name && *name && !strchr(name, '/')) {
			strvec_push(names, name);
		}
	}
}

int s3_list(const struct s3 *s, const char *prefix, struct strvec *names, struct error *err)
{
	CLEANUP_FREE char *base = s3_url(s, "");
	CLEANUP_FREE char *token = NULL;
	for (int page = 0; page < MAX_PAGES; page++) {
		CLEANUP_STR struct str text = STR_INIT(ANSWER_MAX);
		struct str url = STR_INIT(STR_MAX_LINE);
		str_addf(&url, "%s?", base);
		if (token) { /* in order of their names, as they are signed */
			str_add(&url, "continuation-token=");
			s3_encode(&url, token, false);
			str_addc(&url, '&');
		}
		str_add(&url, "list-type=2&prefix=");
		s3_encode(&url, prefix, false);
		struct call c = {
			.method = "GET", .url = str_take(&url), .in = -1, .out = -1, .text = &text};
		if (run(s, &c, err) < 0) {
			return -1;
		}
		add_names(str_c(&text), prefix, names);
		free(token);
		token = element(str_c(&text), "NextContinuationToken");
		if (!token) {
			break;
		}
	}
	return 0;
}
