/* id_map.c: open addressing with linear probing, at most half full. */
#include "io/id_map.h"

/* The finaliser of splitmix64: neighbouring ids lie far apart. */
static uint64_t spread(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Where the id is, or the free slot where it belongs. */
static size_t slot_of(const lmb_id_map *map, int64_t id)
{
    const size_t mask = map->capacity_ - 1;
    size_t at = spread((uint64_t)id) & mask;
    while (map->values_[at] != 0 && map->keys_[at] != id)
        at = (at + 1) & mask;
    return at;
}

static lmb_status grow(lmb_id_map *map)
{
    lmb_id_map bigger = {
        .capacity_ = map->capacity_ == 0 ? 64 : map->capacity_ * 2,
        .count = map->count};
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(bigger.keys_, bigger.capacity_), st, failed);
    LMB_GOTO(LMB_NEW(bigger.values_, bigger.capacity_), st, failed);
    for (size_t i = 0; i < map->capacity_; i++) {
        if (map->values_[i] == 0)
            continue;
        const size_t at = slot_of(&bigger, map->keys_[i]);
        bigger.keys_[at] = map->keys_[i];
        bigger.values_[at] = map->values_[i];
    }
    lmb_id_map_fini(map);
    *map = bigger;
    return LMB_OK;
failed:
    lmb_id_map_fini(&bigger);
    return st;
}

lmb_status lmb_id_map_add(
    lmb_id_map *map, int64_t id, int32_t *place, bool *is_new)
{
    if ((size_t)map->count * 2 >= map->capacity_)
        LMB_TRY(grow(map));
    const size_t at = slot_of(map, id);
    *is_new = map->values_[at] == 0;
    if (*is_new) {
        if (map->count == INT32_MAX)
            return LMB_FAIL(LMB_EUNSUPPORTED, "more than 2^31 - 1 ids");
        map->keys_[at] = id;
        map->values_[at] = ++map->count;
    }
    *place = map->values_[at] - 1;
    return LMB_OK;
}

void lmb_id_map_fini(lmb_id_map *map)
{
    lmb_free(map->keys_);
    lmb_free(map->values_);
    *map = (lmb_id_map){0};
}
