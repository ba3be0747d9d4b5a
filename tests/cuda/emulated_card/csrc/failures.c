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

/* Whether each word of a variable, parted by commas, is among those known; what follows a colon is a number. */
static int is_known(const char *variable, const char *known) {
    const char *p = getenv(variable);
    while (p && *p) {
        size_t length = strcspn(p, ","), name = strcspn(p, ",:");
        int found = 0;
        for (const char *k = known; *k && !found; k += strcspn(k, " "), k += *k == ' ')
            found = strcspn(k, " ") == name && !strncmp(k, p, name);
        if (!found) {
            report("%s=%s: %.*s is not known, expected some of: %s", variable, getenv(variable), (int)name, p, known);
            return 0;
        }
        p += length + (p[length] == ',');
    }
    return 1;
}

int settings_are_known(void) {
    const char *order = getenv("EMULATED_ORDER");
    int seeded = order && *order && !order[strspn(order, "0123456789")];
    return is_known("EMULATED_CARD", "sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120") && (seeded || is_known("EMULATED_ORDER", "forwards backwards random")) &&
           is_known("EMULATED_CHECKS", "uninitialised races") && is_known("EMULATED_STREAMS", "late early") &&
           is_known("EMULATED_FAIL", "no_driver no_device no_devices driver_too_old card_too_old initialization out_of_memory illegal_address lost_device");
}

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
