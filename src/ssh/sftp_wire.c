/* SPDX-License-Identifier: MIT */
#include "sftp_wire.h"

#include <stdlib.h>

#define MAX_EXTENSIONS 64 /* pairs in one ATTRS */

static void decode_attrs(struct wire *w, struct sftp_attrs *a)
{
	uint32_t flags = wire_u32(w);
	size_t n;

	*a = (struct sftp_attrs){0};
	if (flags & ATTR_SIZE) {
		a->size = wire_u64(w);
	}
	if (flags & ATTR_UIDGID) {
		a->uid = wire_u32(w);
		a->gid = wire_u32(w);
	}
	if (flags & ATTR_PERMISSIONS) {
		a->mode = wire_u32(w);
	}
	if (flags & ATTR_ACMODTIME) {
		(void)wire_u32(w);
		a->mtime = wire_u32(w);
	}
	if (flags & ATTR_EXTENDED) {
		uint32_t count = wire_u32(w);
		if (count > MAX_EXTENSIONS) {
			w->bad = true;
			return;
		}
		for (uint32_t i = 0; i < count; i++) {
			(void)wire_string(w, &n);
			(void)wire_string(w, &n);
		}
	}
}

int sftp_decode(const void *packet, size_t len, struct sftp_reply *r)
{
	struct wire w = wire_reader(packet, len);

	*r = (struct sftp_reply){.type = wire_u8(&w)};
	r->id = wire_u32(&w);
	switch (r->type) {
	case FXP_VERSION:
	case FXP_EXTENDED_REPLY:
		break;
	case FXP_STATUS:
		r->code = wire_u32(&w);
		if (w.len > 0) { /* some servers leave it out */
			r->data = wire_string(&w, &r->len);
		}
		break;
	case FXP_HANDLE:
	case FXP_DATA:
		r->data = wire_string(&w, &r->len);
		break;
	case FXP_NAME:
		r->count = wire_u32(&w);
		break;
	case FXP_ATTRS:
		decode_attrs(&w, &r->attrs);
		break;
	default:
		return -1;
	}
	r->rest = w;
	if (r->type == FXP_HANDLE && (r->len == 0 || r->len > SFTP_HANDLE_MAX)) {
		return -1;
	}
	return w.bad ? -1 : 0;
}

int sftp_decode_entry(struct wire *w, struct sftp_entry *e)
{
	size_t n;

	e->name = wire_text(w);
	(void)wire_string(w, &n); /* as ls -l would show it */
	decode_attrs(w, &e->attrs);
	if (w->bad) {
		free(e->name);
		e->name = NULL;
		return -1;
	}
	return 0;
}
