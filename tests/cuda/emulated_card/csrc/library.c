/* Programs: from PTX, or from a cubin beside whose hash its PTX lies. The translator is Python's, and is asked once for
   each PTX: what gcc made of it is kept under the hash of the PTX and of this stand-in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"
#include "sha256.h"

extern char **environ;

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    char *text = 0;
    size_t room = 0, got;
    *n = 0;
    do {
        text = realloc(text, (room += 1 << 16) + 1);
        got = fread(text + *n, 1, room - *n, f);
        *n += got;
    } while (got);
    fclose(f);
    text[*n] = 0;
    return text;
}

/* The bytes of a cubin: an ELF file ends with its section headers, or with its last segment. */
static size_t elf_size(const u8 *elf) {
    u64 sections, section_size = 0;
    u16 count, each;
    memcpy(&sections, elf + 0x28, 8);
    memcpy(&each, elf + 0x3a, 2);
    memcpy(&count, elf + 0x3c, 2);
    size_t end = sections + (u64)each * count;
    for (u16 k = 0; k < count; k++) {
        const u8 *s = elf + sections + (u64)each * k;
        u64 at;
        u32 type;
        memcpy(&type, s + 4, 4);
        memcpy(&at, s + 0x18, 8);
        memcpy(&section_size, s + 0x20, 8);
        if (type != 8 && at + section_size > end) end = at + section_size;
    }
    u64 segments;
    memcpy(&segments, elf + 0x20, 8);
    memcpy(&each, elf + 0x36, 2);
    memcpy(&count, elf + 0x38, 2);
    if (segments && segments + (u64)each * count > end) end = segments + (u64)each * count;
    return end;
}

static char *ptx_of_cubin(const u8 *elf, char *log, size_t log_room) {
    char hash[65], path[4096];
    size_t n;
    sha256_text(elf, elf_size(elf), hash);
    const char *folders = getenv("EMULATED_PTX");
    for (const char *p = folders ? folders : ""; *p;) {
        int length = (int)strcspn(p, ":");
        snprintf(path, sizeof path, "%.*s/%s.ptx", length, p, hash);
        char *text = read_file(path, &n);
        if (text) return text;
        p += length + (p[length] == ':');
    }
    snprintf(log, log_room, "a cubin can be emulated only beside its PTX: no %s.ptx in EMULATED_PTX=%s", hash, folders ? folders : "");
    return 0;
}

/* Runs the translator on a PTX; 0 or its complaint in the log. */
static int translate(const char *ptx, const char *made, char *log, size_t log_room) {
    char source[4096], said[4096];
    snprintf(source, sizeof source, "%s.%d.ptx", made, getpid());
    snprintf(said, sizeof said, "%s.%d.log", made, getpid());
    FILE *f = fopen(source, "wb");
    if (!f) return snprintf(log, log_room, "cannot write %s", source);
    fputs(ptx, f);
    fclose(f);
    char *arguments[] = {(char *)PYTHON, "-I", "-c",
        "import sys; sys.path.insert(0, sys.argv[1]); from emulated_card.build import main; sys.exit(main(*sys.argv[2:]))",
        (char *)HERE, source, (char *)made, said, settings.races ? "races" : "fast", 0};
    char *clean[] = {"PATH=/usr/local/bin:/usr/bin:/bin", 0};
    pid_t child;
    int status = -1;
    if (posix_spawn(&child, PYTHON, 0, 0, arguments, clean) || waitpid(child, &status, 0) < 0) snprintf(log, log_room, "cannot start %s", PYTHON);
    size_t n;
    char *text = status ? read_file(said, &n) : 0;
    if (text) snprintf(log, log_room, "%s", text);
    free(text);
    unlink(source);
    unlink(said);
    return status;
}

int library_load(Library **library, const void *given, char *log, size_t log_room) {
    const u8 *bytes = given;
    char *text = 0;
    log[0] = 0;
    if (!memcmp(bytes, "\177ELF", 4)) {
        text = ptx_of_cubin(bytes, log, log_room);
        if (!text) return INVALID_IMAGE;
    } else if (strstr((const char *)bytes, ".version") && strstr((const char *)bytes, ".target")) {
        text = strdup((const char *)bytes);
    } else {
        snprintf(log, log_room, "neither PTX nor a cubin");
        return INVALID_IMAGE;
    }
    char hash[65], path[4096];
    sha256_text(text, strlen(text), hash);
    snprintf(path, sizeof path, "%s/%.40s%s.so", CACHE, hash, settings.races ? ".races" : "");
    struct stat known;
    if (stat(path, &known) && translate(text, path, log, log_room)) {
        free(text);
        return INVALID_PTX;
    }
    free(text);
    Library *l = calloc(1, sizeof *l);
    l->code = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    l->image = l->code ? dlsym(l->code, "image") : 0;
    if (!l->image) {
        snprintf(log, log_room, "%s", dlerror());
        free(l);
        return INVALID_IMAGE;
    }
    if ((int)l->image->target > capability) {
        snprintf(log, log_room, "PTX for sm_%u on an emulated sm_%d", l->image->target, capability);
        free(l);
        return NO_BINARY_FOR_GPU;
    }
    for (u32 k = 0; k < l->image->variable_count; k++) {
        const Variable *v = l->image->variables + k;
        u64 at = memory_take(v->bytes, v->align, MEMORY_VARIABLE, 0);
        if (!at) return OUT_OF_MEMORY;
        if (v->data) memcpy((void *)at, v->data, v->bytes);
        else memset((void *)at, 0, v->bytes); /* as the language says */
        memory_written(at, v->bytes);
        l->image->variable_at[k] = at;
    }
    *library = l;
    return OK;
}

void library_unload(Library *l) {
    for (u32 k = 0; k < l->image->variable_count; k++) memory_give_back(l->image->variable_at[k], MEMORY_VARIABLE);
    /* The code stays: kernels that were asked for by this library may still be named. */
}
