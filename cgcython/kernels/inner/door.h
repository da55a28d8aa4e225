/* What a kernel requires of the buffers it is given, before its loop goes by their pointers. */
#ifndef CGCYTHON_DOOR_H
#define CGCYTHON_DOOR_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *data;
    const Py_buffer *buffer; /* NULL where None was given */
} cg_view;

/* Of a typed memoryview of Cython's. */
#define CG_VIEW(v) \
    {(v).data, (PyObject *)(v).memview == Py_None ? NULL : &(v).memview->view},
#define CG_VIEWS1(v) CG_VIEW(v)
#define CG_VIEWS2(v, ...) CG_VIEW(v) CG_VIEWS1(__VA_ARGS__)
#define CG_VIEWS3(v, ...) CG_VIEW(v) CG_VIEWS2(__VA_ARGS__)
#define CG_VIEWS4(v, ...) CG_VIEW(v) CG_VIEWS3(__VA_ARGS__)
#define CG_VIEWS5(v, ...) CG_VIEW(v) CG_VIEWS4(__VA_ARGS__)
#define CG_VIEWS6(v, ...) CG_VIEW(v) CG_VIEWS5(__VA_ARGS__)
#define CG_VIEWS7(v, ...) CG_VIEW(v) CG_VIEWS6(__VA_ARGS__)
#define CG_VIEWS8(v, ...) CG_VIEW(v) CG_VIEWS7(__VA_ARGS__)
#define CG_VIEWS9(v, ...) CG_VIEW(v) CG_VIEWS8(__VA_ARGS__)
#define CG_VIEWS10(v, ...) CG_VIEW(v) CG_VIEWS9(__VA_ARGS__)
#define CG_VIEWS11(v, ...) CG_VIEW(v) CG_VIEWS10(__VA_ARGS__)
#define CG_VIEWS12(v, ...) CG_VIEW(v) CG_VIEWS11(__VA_ARGS__)
#define CG_CHOOSE(a, b, c, d, e, f, g, h, i, j, k, l, chosen, ...) chosen
#define CG_VIEWS(...)                                                                       \
    CG_CHOOSE(__VA_ARGS__, CG_VIEWS12, CG_VIEWS11, CG_VIEWS10, CG_VIEWS9, CG_VIEWS8, CG_VIEWS7,          \
              CG_VIEWS6, CG_VIEWS5, CG_VIEWS4, CG_VIEWS3, CG_VIEWS2, CG_VIEWS1, )(__VA_ARGS__)

/* check_buffers(written, views...): 0, or -1 with a ValueError set. The `written` ones come first. */
#define CG_CHECK_BUFFERS(written, ...)                                                      \
    cg_check_buffers(written, (const cg_view[]){CG_VIEWS(__VA_ARGS__)},                      \
                     sizeof((const cg_view[]){CG_VIEWS(__VA_ARGS__)}) / sizeof(cg_view),     \
                     #__VA_ARGS__)

static inline int cg_overlap(const char *a, Py_ssize_t a_bytes, const char *b, Py_ssize_t b_bytes) {
    return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}

/* The name of argument i as the user knows it, of names as Cython has them: "__pyx_v_a, ...". */
static void cg_name(const char *names, int i, char name[32]) {
    const char prefix[] = "__pyx_v_";
    while (i--) names = strchr(names, ',') + 2;
    if (strncmp(names, prefix, sizeof prefix - 1) == 0) names += sizeof prefix - 1;
    size_t length = strcspn(names, ",");
    length = length < 31 ? length : 31;
    memcpy(name, names, length);
    name[length] = 0;
}

static int cg_refuse(const cg_view *views, const char *names, int i, int j) {
    char name[32], other[32];
    cg_name(names, i, name);
    cg_name(names, j, other);
    if (views[i].buffer == NULL)
        PyErr_Format(PyExc_ValueError, "%s is None, expected an array", name);
    else if (i == j)
        PyErr_Format(PyExc_ValueError,
                     "%s does not begin at a multiple of its element's %zd bytes; pass a copy",
                     name, views[i].buffer->itemsize);
    else
        PyErr_Format(PyExc_ValueError, "%s overlaps %s; give it memory of its own", other, name);
    return -1;
}

static inline int cg_check_buffers(int written, const cg_view *views, int count,
                                   const char *names) {
    for (int i = 0; i < count; i++) {
        const Py_buffer *buffer = views[i].buffer;
        /* Elements are of 1, 2, 4 or 8 bytes. */
        if (buffer == NULL || (uintptr_t)views[i].data & (size_t)(buffer->itemsize - 1))
            return cg_refuse(views, names, i, i);
        for (int j = 0; j < written && j < i; j++)
            if (cg_overlap(views[i].data, buffer->len, views[j].data, views[j].buffer->len))
                return cg_refuse(views, names, i, j);
    }
    return 0;
}

#endif
