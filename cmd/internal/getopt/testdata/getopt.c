/*
 * Prints how getopt_long(3) parses many command lines. Every number has 32
 * bits; a string is its length and its bytes.
 *
 * in:  tables, then per table: option string, long options, then per long
 *      option: name, has_arg, val;
 *      cases, then per case: table, arguments, then the arguments.
 * out: the version of glibc, empty for another C library; then per case three
 *      runs (permuting, "+" and "-"), each: options, then per option: val,
 *      has a value, value; the message; operands, the operands; whether a "--"
 *      ended the options.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

struct table {
	char *shorts;
	struct option *longs;
};

static uint32_t get_number(void)
{
	uint32_t n;
	if (fread(&n, sizeof n, 1, stdin) != 1)
		exit(3);
	return n;
}

static char *get_string(void)
{
	uint32_t n = get_number();
	char *s = calloc(n + 1, 1);
	if (n > 0 && fread(s, n, 1, stdin) != 1)
		exit(3);
	return s;
}

static void put_number(uint32_t n)
{
	fwrite(&n, sizeof n, 1, stdout);
}

static void put_string(const char *s)
{
	put_number(strlen(s));
	fwrite(s, strlen(s), 1, stdout);
}

static struct table get_table(void)
{
	struct table t;
	t.shorts = get_string();
	uint32_t n = get_number();
	t.longs = calloc(n + 1, sizeof *t.longs);
	for (uint32_t i = 0; i < n; i++) {
		t.longs[i].name = get_string();
		t.longs[i].has_arg = get_number();
		t.longs[i].val = get_number();
	}
	return t;
}

/* The number of options is printed before the options, so a buffer holds them. */
static void run(const char *mode, struct table t, int argc, char *const *args)
{
	char **argv = calloc(argc + 1, sizeof *argv);
	memcpy(argv, args, argc * sizeof *argv);
	char shorts[1024];
	snprintf(shorts, sizeof shorts, "%s%s", mode, t.shorts);

	char *message;
	size_t size;
	FILE *real = stderr;
	stderr = open_memstream(&message, &size);

	struct { int val; const char *value; } *found = calloc(2 * argc + 4096, sizeof *found);
	uint32_t n = 0;
	const char *last = NULL;
	int c;
	optind = 0; /* makes glibc start anew */
	while ((c = getopt_long(argc, argv, shorts, t.longs, NULL)) != -1 && c != '?') {
		found[n].val = c;
		found[n++].value = optarg;
		last = optarg;
	}
	fclose(stderr);
	stderr = real;

	put_number(n);
	for (uint32_t i = 0; i < n; i++) {
		put_number(found[i].val);
		put_number(found[i].value != NULL);
		put_string(found[i].value ? found[i].value : "");
	}
	put_string(message);
	put_number(argc - optind);
	for (int i = optind; i < argc; i++)
		put_string(argv[i]);
	/* Without permutation optind is the argument after the "--". A "--" that is
	   an option's argument does not count. */
	put_number(optind > 1 && strcmp(argv[optind - 1], "--") == 0 && argv[optind - 1] != last);
	free(message);
	free(found);
	free(argv);
}

int main(void)
{
#ifdef __GLIBC__
	put_string(gnu_get_libc_version());
#else
	put_string("");
#endif
	uint32_t tables = get_number();
	struct table *t = calloc(tables, sizeof *t);
	for (uint32_t i = 0; i < tables; i++)
		t[i] = get_table();

	uint32_t cases = get_number();
	for (uint32_t i = 0; i < cases; i++) {
		struct table *this = &t[get_number()];
		uint32_t n = get_number();
		char **argv = calloc(n + 2, sizeof *argv);
		argv[0] = "prog";
		for (uint32_t j = 1; j <= n; j++)
			argv[j] = get_string();
		run("", *this, n + 1, argv);
		run("+", *this, n + 1, argv);
		run("-", *this, n + 1, argv);
		free(argv);
	}
	return 0;
}
