/* What goes wrong by order: EMULATED_FAIL=NAME or NAME:NUMBER, several parted by commas. And what is reported. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

/* -1: not ordered; else its number, 1 where none is said. */
int fail_number(const char *name) {
    const char *p = getenv("EMULATED_FAIL");
    size_t n = strlen(name);
    while (p && *p) {
        size_t length = strcspn(p, ",");
        if (length >= n && !strncmp(p, name, n) && (length == n || p[n] == ':')) return length == n ? 1 : atoi(p + n + 1);
        p += length + (p[length] == ',');
    }
    return -1;
}

int is_ordered(const char *name) { return fail_number(name) >= 0; }

/* On the error stream, and into the file that EMULATED_REPORT names. */
void report(const char *format, ...) {
    char text[5000];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "emulated card: %s\n", text);
    const char *path = getenv("EMULATED_REPORT");
    FILE *f = path && *path ? fopen(path, "a") : 0;
    if (!f) return;
    fprintf(f, "%s\n", text);
    fclose(f);
}
