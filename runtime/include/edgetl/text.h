/* edgetl runtime for texts: tokens and classes. Part of the C ABI of runtime.h, whose rules for ownership, memory,
 * threads and errors hold here too.
 *
 *   #include <edgetl/text.h>
 *
 *   edgetl_classify_text(model, text, strlen(text), logits, info.classes, &error);
 *
 * A text is UTF-8, at most 131072 characters; other bytes are refused, naming the first. It becomes exactly the tokens
 * of the Python side in training: cut to edgetl_info.max_tokens, and filled up to the first of the bundle's lengths that
 * holds them. The model keeps the memory that its longest text so far needed: a shorter one allocates nothing of the
 * library's own.
 */
#ifndef EDGETL_TEXT_H
#define EDGETL_TEXT_H

#include "edgetl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One inference on a text.
 * bytes   of the text, without a zero at its end
 * logits  info.classes floats, before softmax */
EDGETL_API edgetl_status edgetl_classify_text(edgetl_model* model, const char* text, size_t bytes, float* logits,
                                              size_t classes, edgetl_error* error);

/* The tokens of a text as the network would take them.
 * ids       room for `capacity`; edgetl_info.max_tokens are always enough
 * count     receives how many tokens the text has, at least 1; may be NULL
 * length    receives how many ids were written: `count`, filled up with padding to one of the bundle's lengths */
EDGETL_API edgetl_status edgetl_tokenize(edgetl_model* model, const char* text, size_t bytes, int32_t* ids,
                                         size_t capacity, size_t* count, size_t* length, edgetl_error* error);

#ifdef __cplusplus
}
#endif

#endif /* EDGETL_TEXT_H */
