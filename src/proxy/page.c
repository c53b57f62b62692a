/* SPDX-License-Identifier: MIT */
/* The page that users see while an application is away. No request for anything else is made by it.
 */
#include "proxy/driver.h"

#include <ctype.h>
#include <string.h>

const char *const proxy_page_head =
	"<!doctype html><html lang=en><head><meta charset=utf-8>"
	"<meta name=viewport content='width=device-width,initial-scale=1'>"
	"<meta name=robots content=noindex><title>Unavailable</title><style>"
	":root { color-scheme:light dark }"
	"body { margin:0;min-height:100vh;display:grid;place-items:center;"
	"font:1.05rem/1.6 system-ui,sans-serif;color:#1d2433;background:#f6f7f9 }"
	"main { max-width:32rem;padding:1.5rem;box-sizing:border-box;overflow-wrap:anywhere }"
	"h1 { font-size:1.6rem;line-height:1.25;margin:0 0 .75rem }p { margin:0;color:#5a6478 }"
	"@media (prefers-color-scheme:dark) { body { color:#e6e9ef;background:#14171d }"
	"p { color:#a3acbd }}</style></head><body><main>";

const char *const proxy_page_tail = "</main></body></html>";

void proxy_page_escape(struct str *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '\n') {
			str_add(out, "<br>");
		} else if (*p >= 0x80 || isalnum(*p) || strchr(" .,:;!?()-_/+@=*%", *p)) {
			str_addc(out, (char)*p);
		} else {
			str_addf(out, "&#%u;", (unsigned)*p);
		}
	}
}
