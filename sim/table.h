/* table.h - numbers found by a number: open addressing, nothing is ever taken out. */
#ifndef SIM_TABLE_H
#define SIM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t key;
    uint32_t value_plus_1; /* 0: free */
};
struct table {
    struct table_slot *slots;
    uint32_t cap, len;
};

/* UINT32_MAX when it is not there. */
uint32_t table_get(const struct table *t, uint64_t key);
/* Inserts or replaces. */
void table_put(struct table *t, uint64_t key, uint32_t value);
void table_free(struct table *t);

#endif
