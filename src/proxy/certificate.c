/* SPDX-License-Identifier: MIT */
#include "proxy/certificate.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/str.h"

#include <assert.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHAKE_MS    10000
#define DAY_MS      ((int64_t)24 * 3600 * 1000)
#define NAMES_SHOWN 5
#define MADE_DAYS   3650

void certificate_fini(struct certificate *c)
{
	free(c->issuer);
	free(c->serial);
	X509_free(c->x509);
	memset(c, 0, sizeof(*c));
}

static int64_t time_ms(const ASN1_TIME *t)
{
	struct tm tm;
	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static char *name_part(const X509_NAME *name, int nid)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8 = NULL;
	if (at < 0 || ASN1_STRING_to_UTF8(
			      &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))) < 0) {
		return NULL;
	}
	char *text = xstrdup((const char *)utf8);
	OPENSSL_free(utf8);
	return text;
}

/* Takes the reference. */
static void fill(struct certificate *c, X509 *x509)
{
	BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
	char *hex = serial ? BN_bn2hex(serial) : NULL;
	const X509_NAME *issuer = X509_get_issuer_name(x509);
	*c = (struct certificate){.x509 = x509,
		.serial = xstrdup(hex ? hex : ""),
		.begins_ms = time_ms(X509_get0_notBefore(x509)),
		.ends_ms = time_ms(X509_get0_notAfter(x509)),
		.issuer = name_part(issuer, NID_commonName)};
	if (!c->issuer) {
		c->issuer = name_part(issuer, NID_organizationName);
	}
	if (!c->issuer) {
		c->issuer = xstrdup("?");
	}
	OPENSSL_free(hex);
	BN_free(serial);
}

int certificate_read(const struct secret *pem, struct certificate *out, struct error *err)
{
	BIO *b = BIO_new_mem_buf(secret_reveal(pem), (int)secret_len(pem));
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	if (!x) {
		return error_set(
			err, ERROR_MANIFEST, "the given certificate is no PEM certificate");
	}
	fill(out, x);
	return 0;
}

int certificate_check_key(const struct certificate *c, const struct secret *key, struct error *err)
{
	/* An empty pass phrase keeps OpenSSL from asking on the terminal. */
	char none[] = "";
	BIO *b = BIO_new_mem_buf(secret_reveal(key), (int)secret_len(key));
	EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, none) : NULL;
	int rc = 0;
	BIO_free(b);
	if (!k) {
		rc = error_set(err, ERROR_MANIFEST,
			"the given private key is no PEM key without a pass phrase");
	} else if (X509_check_private_key(c->x509, k) != 1) {
		rc = error_set(err, ERROR_MANIFEST,
			"the given private key does not belong to the given certificate");
	}
	EVP_PKEY_free(k);
	return rc;
}

/* -- What is served -- */

/* A name that a host name of the manifest stands for. The caller frees. */
static char *one_name(const char *host)
{
	return str_starts(host, "*.") ? xasprintf("deploy-check%s", host + 1) : xstrdup(host);
}

static int shake(SSL *ssl, int fd, struct error *err)
{
	int64_t until = clock_mono_ms() + SHAKE_MS;
	for (;;) {
		ERR_clear_error();
		int rc = SSL_connect(ssl);
		int why = SSL_get_error(ssl, rc);
		short events = why == SSL_ERROR_WANT_READ    ? POLLIN
			       : why == SSL_ERROR_WANT_WRITE ? POLLOUT
							     : 0;
		if (rc == 1) {
			return 0;
		}
		if (!events) {
			const char *reason = ERR_reason_error_string(ERR_peek_last_error());
			return error_set(err, ERROR_REMOTE, "no TLS: %s",
				reason ? reason : "the connection was closed");
		}
		short got = 0;
		int polled = cancel_poll(fd, events, until, &got, err);
		if (polled <= 0) {
			return polled < 0
				       ? -1
				       : error_set(err, ERROR_REMOTE,
						 "no TLS: no answer within %d s", SHAKE_MS / 1000);
		}
	}
}

int certificate_served(int fd, const char *host, struct certificate *out, struct error *err)
{
	CLEANUP_FREE char *name = host ? one_name(host) : NULL;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	int flags = fcntl(fd, F_GETFL);
	int rc = -1;
	if (!ssl || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		SSL_set_fd(ssl, fd) != 1 || (name && SSL_set_tlsext_host_name(ssl, name) != 1)) {
		error_set(err, ERROR_INTERNAL, "TLS could not be set up");
	} else {
		SSL_set_security_level(ssl, 0); /* weak ones are read too */
		rc = shake(ssl, fd, err);
	}
	X509 *x = rc == 0 ? SSL_get1_peer_certificate(ssl) : NULL;
	if (x) {
		fill(out, x);
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	} else if (rc == 0) {
		rc = error_set(err, ERROR_REMOTE, "no certificate is served");
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return rc;
}

/* -- Judging -- */

static bool is_for(const struct certificate *c, const char *host)
{
	CLEANUP_FREE char *name = one_name(host);
	return X509_check_host(c->x509, name, 0, 0, NULL) == 1 ||
	       X509_check_ip_asc(c->x509, name, 0) == 1;
}

long certificate_days(const struct certificate *c, int64_t now_ms)
{
	int64_t left = c->ends_ms - now_ms;
	return (long)(left >= 0 ? left / DAY_MS : -((-left + DAY_MS - 1) / DAY_MS));
}

enum certificate_state certificate_judge(
	const struct certificate *c, const char *host, bool automatic, int64_t now_ms)
{
	if (host && !is_for(c, host)) {
		return CERTIFICATE_OTHER_NAME;
	}
	if (c->ends_ms <= now_ms || c->begins_ms > now_ms + DAY_MS) {
		return CERTIFICATE_EXPIRED;
	}
	int64_t third = (c->ends_ms - c->begins_ms) / 3, limit = CERTIFICATE_WARN_DAYS * DAY_MS;
	limit = automatic && third < limit ? third : limit;
	return c->ends_ms - now_ms < limit ? CERTIFICATE_ENDS_SOON : CERTIFICATE_GOOD;
}

static void add_names(const struct certificate *c, struct str *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(c->x509, NID_subject_alt_name, NULL, NULL);
	int shown = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		if (n->type != GEN_DNS) {
			continue;
		}
		if (shown == NAMES_SHOWN) {
			str_add(out, ", ...");
			break;
		}
		str_addf(out, "%s%.*s", shown ? ", " : "", ASN1_STRING_length(n->d.dNSName),
			(const char *)ASN1_STRING_get0_data(n->d.dNSName));
		shown++;
	}
	GENERAL_NAMES_free(names);
	CLEANUP_FREE char *common =
		shown ? NULL : name_part(X509_get_subject_name(c->x509), NID_commonName);
	if (!shown) {
		str_add(out, common ? common : "none");
	}
}

char *certificate_text(const struct certificate *c, enum certificate_state state, int64_t now_ms)
{
	struct str out = STR_INIT(STR_MAX_LINE);
	char when[CLOCK_RFC3339_SIZE];
	long days = certificate_days(c, now_ms);
	if (state == CERTIFICATE_OTHER_NAME) {
		str_add(&out, "is for other names: ");
		add_names(c, &out);
	} else if (state == CERTIFICATE_EXPIRED && c->ends_ms > now_ms) {
		str_addf(&out, "is not valid before %.10s", clock_rfc3339(c->begins_ms, when));
	} else if (state == CERTIFICATE_EXPIRED) {
		str_addf(&out, "has expired on %.10s", clock_rfc3339(c->ends_ms, when));
	} else {
		str_addf(&out, "is good for %ld day%s, until %.10s", days, days == 1 ? "" : "s",
			clock_rfc3339(c->ends_ms, when));
	}
	return str_take(&out);
}

static void take_pem(BIO *bio, struct str *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(bio, &p);
	str_addn(out, p, (size_t)n);
	BIO_free(bio);
}

void certificate_make(const char *name, struct str *certificate, struct str *key)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *bio[2] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
	assert(k && x && bio[0] && bio[1]);
	X509_NAME *subject = X509_get_subject_name(x);
	int done = X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
		   X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
		   X509_time_adj_ex(X509_getm_notAfter(x), MADE_DAYS, 0, NULL) &&
		   X509_NAME_add_entry_by_txt(
			   subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
		   X509_set_issuer_name(x, subject) && X509_set_pubkey(x, k) &&
		   X509_sign(x, k, EVP_sha256()) && PEM_write_bio_X509(bio[0], x) &&
		   PEM_write_bio_PrivateKey(bio[1], k, NULL, NULL, 0, NULL, NULL);
	assert(done);
	take_pem(bio[0], certificate);
	take_pem(bio[1], key);
	X509_free(x);
	EVP_PKEY_free(k);
}
