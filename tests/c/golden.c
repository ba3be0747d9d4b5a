/* Trains the networks of tests/golden_nets.py, as images of memory that tests/scripts/golden_images.py writes, and wants
 * the bits of the reference. Prints how many there were.
 *
 * Arguments: the file; how many threads, 1 or 2.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastnn.h"

enum { NAME = 80 };

/* An image is a head, the name, the memory without the scratch at its end, where pointers lie and where they lead, the vectors that training makes by
 * their place and size, and what must be in them. */
typedef struct head {
    int64_t name, memory, stored, pointers, vectors, itemsize, steps, program, data, sums, rates;
} head;

static void *part(FILE *file, int64_t size, int64_t stored)
{
    void *found = malloc((size_t)size + 1);
    if (found == NULL || fread(found, 1, (size_t)stored, file) != (size_t)stored) {
        fprintf(stderr, "the file ends too early\n");
        exit(2);
    }
    return found;
}

static int train(const head *h, char *memory, int32_t threads)
{
    const fnn_program *program = (const void *)(memory + h->program);
    const fnn_data *data = (const void *)(memory + h->data);
    double *sums = (void *)(memory + h->sums);
    const double *rates = (const void *)(memory + h->rates);
    if (h->itemsize == sizeof(float)) {
        return fnn_run_steps_f32(program, data, 0, h->steps, sums, NULL, NULL, 0, threads) ||
               fnn_run_steps_f32(program, data, 0, h->steps, sums, NULL, rates, 1, threads);
    }
    return fnn_run_steps_f64(program, data, 0, h->steps, sums, NULL, NULL, 0, threads) ||
           fnn_run_steps_f64(program, data, 0, h->steps, sums, NULL, rates, 1, threads);
}

int main(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    const int32_t threads = atoi(argv[2]);
    int count = 0, wrong = 0;
    for (head h; fread(&h, sizeof h, 1, file) == 1; count++) {
        char name[NAME] = "";
        if (h.name >= NAME || fread(name, 1, (size_t)h.name, file) != (size_t)h.name) {
            return 2;
        }
        char *memory = part(file, h.memory, h.stored);
        const int64_t table = (h.pointers + h.vectors) * (int64_t)sizeof(int64_t[2]);
        int64_t(*places)[2] = part(file, table, table);
        for (int64_t number = 0; number < h.pointers; number++) {
            char *to = memory + places[number][1];
            memcpy(memory + places[number][0], &to, sizeof to);
        }
        int same = train(&h, memory, threads) == FNN_OK;
        for (int64_t number = h.pointers; number < h.pointers + h.vectors; number++) {
            const int64_t *vector = places[number];
            void *expected = part(file, vector[1], vector[1]);
            same = same && memcmp(memory + vector[0], expected, (size_t)vector[1]) == 0;
            free(expected);
        }
        if (!same) {
            printf("%s, %d bytes: other bits\n", name, (int)h.itemsize);
            wrong++;
        }
        free(memory);
        free(places);
    }
    printf("%s: %d networks, %d with other bits\n", fnn_level(), count, wrong);
    fclose(file);
    return count == 0 || wrong > 0;
}
