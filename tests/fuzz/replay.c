/* SPDX-License-Identifier: MIT */
/*
 * A main for fuzz targets where there is no libFuzzer: gives the target the empty input and every
 * file of the corpus (arguments: files or folders), each also cut off at up to CUTS places and with
 * up to FLIPS single bytes changed, the same ones in every run.  TAP on stdout, one line a file.
 */
#include "util/fs.h"
#include "util/str.h"
#include "util/vec.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CUTS  64
#define FLIPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly this size on the heap: ASan sees a read behind its end. */
static void run(const char *data, size_t size)
{
	uint8_t *copy = xcalloc(size, 1);

	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_variants(char *data, size_t size)
{
	static const unsigned char other[] = {0x00, 0xff, '\n', ' ', '"', '{', '-', ':'};

	run(data, size);
	for (size_t i = 0; i < CUTS && i < size; i++) {
		run(data, size <= CUTS ? i : size * i / CUTS);
	}
	for (size_t i = 0; i < FLIPS && i < size; i++) {
		size_t at = size <= FLIPS ? i : size * i / FLIPS;
		char was = data[at];

		data[at] = (char)other[i % sizeof(other)];
		run(data, size);
		data[at] = was;
	}
}

static int run_file(const char *path, size_t number)
{
	struct str text = STR_INIT(STR_MAX_FILE);
	struct error err = {0};
	int status = fs_read(path, &text, &err);

	if (status == 0 && text.len > 0) {
		run_variants(text.p, text.len);
	}
	printf("%s %zu - %s%s%s\n", status == 0 ? "ok" : "not ok", number, path,
		status == 0 ? "" : " # ", err.text);
	fflush(stdout);
	str_fini(&text);
	return status;
}

static void collect(const char *path, struct strvec *files)
{
	struct dirent *entry;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		strvec_push(files, path);
		return;
	}
	DIR *dir = opendir(path);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.') {
			strvec_pushf(files, "%s/%s", path, entry->d_name);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
}

int main(int argc, char **argv)
{
	struct strvec files = {0};
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		collect(argv[i], &files);
	}
	strvec_sort(&files);
	printf("1..%zu\n", files.len + 1);
	run("", 0);
	printf("ok 1 - empty input\n");
	VEC_FOREACH (&files, i) {
		failed |= run_file(files.p[i], i + 2);
	}
	strvec_fini(&files);
	return failed != 0;
}
