/* pass_sort.c: nodes back into topological order after a rewrite.
 *
 * Among nodes that are ready the one with the smallest old place comes first,
 * so an order that is right already stays as it is. */
#include "plan/pass.h"

/* A binary heap of node places, smallest on top. */
typedef struct heap {
    int32_t *items;
    size_t count;
} heap;

static void heap_push(heap *h, int32_t item)
{
    size_t i = h->count++;
    while (i > 0 && h->items[(i - 1) / 2] > item) {
        h->items[i] = h->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->items[i] = item;
}

static int32_t heap_pop(heap *h)
{
    const int32_t top = h->items[0];
    const int32_t last = h->items[--h->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->items[child + 1] < h->items[child])
            child++;
        if (h->items[child] >= last)
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return top;
}

typedef struct sorter {
    lmb_graph *g;
    int32_t *waiting; /* per node: inputs not made yet */
    int32_t *first, *next, *user; /* users of each value, as lists */
    heap ready;
    lmb_node *sorted;
} sorter;

static void link_users(sorter *s)
{
    const lmb_graph *g = s->g;
    int32_t edge = 0;
    for (size_t v = 0; v < g->n_values; v++)
        s->first[v] = -1;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        for (int k = 0; !node->removed && k < node->n_in; k++) {
            const lmb_value_info *v = &g->values[node->in[k].id];
            if (!lmb_is(node->in[k]) || v->node < 0)
                continue;
            s->waiting[i]++;
            s->user[edge] = (int32_t)i;
            s->next[edge] = s->first[node->in[k].id];
            s->first[node->in[k].id] = edge++;
        }
        if (!node->removed && s->waiting[i] == 0)
            heap_push(&s->ready, (int32_t)i);
    }
}

static void emit(sorter *s, int32_t i, size_t place)
{
    lmb_node *node = &s->g->nodes[i];
    s->sorted[place] = *node;
    for (int o = 0; o < node->n_out; o++)
        for (int32_t e = s->first[node->out[o].id]; e >= 0; e = s->next[e])
            if (--s->waiting[s->user[e]] == 0)
                heap_push(&s->ready, s->user[e]);
}

static void sort_nodes(sorter *s)
{
    lmb_graph *g = s->g;
    link_users(s);
    size_t count = 0;
    while (s->ready.count > 0)
        emit(s, heap_pop(&s->ready), count++);
    size_t left = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        left += !g->nodes[i].removed;
    LMB_ASSERT(left == count); /* a rewrite has made a cycle otherwise */
    for (size_t i = 0; i < count; i++) {
        g->nodes[i] = s->sorted[i];
        for (int o = 0; o < g->nodes[i].n_out; o++)
            g->values[g->nodes[i].out[o].id].node = (int32_t)i;
    }
    g->n_nodes = count;
}

lmb_status lmb_pass_sort(lmb_graph *g)
{
    size_t edges = 1;
    for (size_t i = 0; i < g->n_nodes; i++)
        edges += (size_t)g->nodes[i].n_in;
    sorter s = {.g = g};
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(s.waiting, g->n_nodes + 1), st, done);
    LMB_GOTO(LMB_NEW(s.ready.items, g->n_nodes + 1), st, done);
    LMB_GOTO(LMB_NEW(s.sorted, g->n_nodes + 1), st, done);
    LMB_GOTO(LMB_NEW(s.first, g->n_values), st, done);
    LMB_GOTO(LMB_NEW(s.next, edges), st, done);
    LMB_GOTO(LMB_NEW(s.user, edges), st, done);
    sort_nodes(&s);
done:
    lmb_free(s.waiting);
    lmb_free(s.ready.items);
    lmb_free(s.sorted);
    lmb_free(s.first);
    lmb_free(s.next);
    lmb_free(s.user);
    return st;
}
