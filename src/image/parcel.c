/* SPDX-License-Identifier: MIT */
#include "parcel.h"

#include "image/tar.h"
#include "util/digest.h"
#include "util/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes of headers and small files that may wait: index, manifests, configuration. */
#define PENDING_MAX ((size_t)32 << 20)

static const char *hex_part(const char *digest)
{
	return digest + strlen("sha256:");
}

char *parcel_manifest(struct image_source *s, bool oci, char digest[IMAGE_ID_SIZE])
{
	CLEANUP_JSON json_t *m = json_pack("{s:i,s:s,s:{s:s,s:I,s:s},s:[]}", "schemaVersion", 2,
		"mediaType", oci ? MANIFEST_OCI : MANIFEST_DOCKER, "config", "mediaType",
		oci ? "application/vnd.oci.image.config.v1+json"
		    : "application/vnd.docker.container.image.v1+json",
		"size", (json_int_t)s->config.len, "digest", s->config_digest, "layers");
	char hex[DIGEST_HEX_SIZE];
	char *text;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		json_array_append_new(json_object_get(m, "layers"),
			json_pack("{s:s,s:I,s:s}", "mediaType",
				oci ? "application/vnd.oci.image.layer.v1.tar"
				    : "application/vnd.docker.image.rootfs.diff.tar",
				"size", (json_int_t)s->layers[s->layers[i].same].size, "digest",
				s->layers[i].diff_id));
	}
	pthread_mutex_unlock(&s->lock);
	text = json_text(m);
	digest_sha256_hex(text, strlen(text), hex);
	snprintf(digest, IMAGE_ID_SIZE, "sha256:%s", hex);
	return text;
}

char *parcel_full_name(const char *name)
{
	CLEANUP_FREE char *registry = registry_of(name);

	if (registry) {
		return xstrdup(name);
	}
	return xasprintf("docker.io/%s%s", strchr(name, '/') ? "" : "library/", name);
}

void parcel_init(struct parcel *p, struct image_source *s, const char *host, const bool *include)
{
	*p = (struct parcel){.s = s, .host = host, .whole = true, .at = s->n};
	p->include = xcalloc(s->n + 1, sizeof(*p->include));
	p->done = xcalloc(s->n + 1, sizeof(*p->done));
	memcpy(p->include, include, s->n * sizeof(*include));
	for (size_t i = 0; i < s->n; i++) {
		p->whole = p->whole && include[i];
		/* A layer that appears twice has one file. */
		p->done[i] = s->layers[i].same != i && include[s->layers[i].same];
	}
	str_init(&p->pending, PENDING_MAX);
}

void parcel_fini(struct parcel *p)
{
	free(p->include);
	free(p->done);
	str_fini(&p->pending);
}

static void put_head(struct parcel *p, const char *path, uint64_t size)
{
	struct tar_entry e = {.path = path, .size = size, .mode = S_IFREG | 0644};

	tar_header(&p->pending, &e);
}

static void put_padding(struct parcel *p, uint64_t size)
{
	for (size_t n = tar_padding(size); n; n--) {
		str_addc(&p->pending, '\0');
	}
}

static void put_file(struct parcel *p, const char *path, const void *data, size_t len)
{
	put_head(p, path, len);
	str_addn(&p->pending, data, len);
	put_padding(p, len);
}

static void put_blob(struct parcel *p, const char *digest, const void *data, size_t len)
{
	CLEANUP_FREE char *path = xasprintf("blobs/sha256/%s", hex_part(digest));

	put_file(p, path, data, len);
}

static void put_json(struct parcel *p, const char *path, const json_t *json)
{
	CLEANUP_FREE char *text = json_text(json);

	put_file(p, path, text, strlen(text));
}

/* manifest.json, which the graph drivers' load reads. */
static void put_docker_index(struct parcel *p)
{
	struct image_source *s = p->s;
	CLEANUP_FREE char *config = xasprintf("blobs/sha256/%s", hex_part(s->config_digest));
	json_t *image = json_pack("{s:s,s:[],s:[]}", "Config", config, "RepoTags", "Layers");
	CLEANUP_JSON json_t *index = json_pack("[o]", image);

	VEC_FOREACH (&s->tags, i) {
		json_array_append_new(
			json_object_get(image, "RepoTags"), json_string(s->tags.p[i]));
	}
	for (size_t i = 0; i < s->n; i++) {
		json_array_append_new(json_object_get(image, "Layers"),
			json_sprintf("blobs/sha256/%s", hex_part(s->layers[i].diff_id)));
	}
	put_json(p, "manifest.json", index);
}

/* oci-layout, index.json and the manifest, as Docker 25's own save has them. */
static void put_oci_index(struct parcel *p)
{
	struct image_source *s = p->s;
	char digest[IMAGE_ID_SIZE];
	CLEANUP_FREE char *manifest = parcel_manifest(s, true, digest);
	CLEANUP_JSON json_t *layout = json_pack("{s:s}", "imageLayoutVersion", "1.0.0");
	CLEANUP_JSON json_t *index = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType",
		"application/vnd.oci.image.index.v1+json", "manifests");

	VEC_FOREACH (&s->tags, i) {
		CLEANUP_FREE char *full = parcel_full_name(s->tags.p[i]);
		const char *tag = strrchr(full, ':');
		json_array_append_new(json_object_get(index, "manifests"),
			json_pack("{s:s,s:s,s:I,s:{s:s,s:s}}", "mediaType", MANIFEST_OCI, "digest",
				digest, "size", (json_int_t)strlen(manifest), "annotations",
				"io.containerd.image.name", full,
				"org.opencontainers.image.ref.name", tag ? tag + 1 : "latest"));
	}
	put_blob(p, digest, manifest, strlen(manifest));
	put_json(p, "oci-layout", layout);
	put_json(p, "index.json", index);
}

static int next_part(struct parcel *p, struct error *err)
{
	struct image_source *s = p->s;
	struct layer *l;

	if (origin_next(s, p->include, p->done, &p->at, err) != 0) {
		return -1;
	}
	if (p->at < s->n) {
		l = &s->layers[s->layers[p->at].same];
		CLEANUP_FREE char *path = xasprintf("blobs/sha256/%s", hex_part(l->diff_id));
		pthread_mutex_lock(&s->lock);
		uint64_t size = (uint64_t)l->size;
		pthread_mutex_unlock(&s->lock);
		p->done[p->at] = true;
		p->offset = 0;
		put_head(p, path, size);
		return 0;
	}
	struct origin_need need = {.config = true, .sizes = p->whole};
	if (origin_want(s, &need, err) != 0) {
		return -1;
	}
	put_blob(p, s->config_digest, str_c(&s->config), s->config.len);
	if (p->whole) {
		put_oci_index(p);
	}
	put_docker_index(p);
	tar_end(&p->pending);
	p->ended = true;
	return 0;
}

ssize_t parcel_read(void *ctx, void *buf, size_t n, struct error *err)
{
	struct parcel *p = ctx;
	ssize_t got = 0;

	while (!got) {
		if (p->pending.len) {
			got = (ssize_t)(p->pending.len < n ? p->pending.len : n);
			memcpy(buf, p->pending.p, (size_t)got);
			str_consume(&p->pending, (size_t)got);
		} else if (p->at < p->s->n) {
			got = origin_read(p->s, p->at, p->offset, buf, n, err);
			p->offset += got > 0 ? (uint64_t)got : 0;
			if (got == 0) {
				put_padding(p, p->offset);
				p->at = p->s->n;
			}
		} else if (p->ended) {
			return 0;
		} else if (next_part(p, err) != 0) {
			return -1;
		}
	}
	if (got > 0) {
		p->sent += (uint64_t)got;
		ui_progress(p->s->ui, p->host, "image", p->sent, p->total);
	}
	return got;
}
