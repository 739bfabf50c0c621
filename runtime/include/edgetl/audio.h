/* edgetl runtime for sound: classify recordings, and find words in a stream of samples. Part of the C ABI of runtime.h,
 * whose rules for ownership, memory, threads and errors hold here too.
 *
 *   #include <edgetl/audio.h>
 *
 *   edgetl_classify_samples(model, recording, count, 16000, logits, info.classes, &error);
 *
 * A stream, in pieces of any size:
 *
 *   edgetl_stream_settings settings = {.struct_size = sizeof settings, .thresholds = thresholds};
 *   edgetl_stream* stream = NULL;
 *   if (edgetl_stream_open(model, &settings, &stream, &error) != EDGETL_OK) { puts(error.message); return 1; }
 *   for (;;) {
 *     size_t count = microphone_read(piece, 512), taken = 0;
 *     const edgetl_hop* hop = NULL;
 *     const int16_t* next = piece;
 *     do {
 *       if (edgetl_stream_push(stream, next, count, &taken, &hop, &error) != EDGETL_OK) { puts(error.message); return 1; }
 *       next += taken, count -= taken;
 *       if (hop != NULL && hop->detected >= 0) puts(edgetl_label(model, hop->detected));
 *     } while (hop != NULL);
 *   }
 *   edgetl_stream_close(stream);
 *
 * Samples are int16, mono, at edgetl_info.rate_hz. Where the network takes another rate, they are resampled with exactly
 * the bits of the Python side in training.
 */
#ifndef EDGETL_AUDIO_H
#define EDGETL_AUDIO_H

#include "edgetl/runtime.h"
#include "edgetl/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- recordings -------------------------------------------------------------------------------------------------- */

/* One inference on a recording of any length: its middle where it is longer than the window, else it in the middle of
 * silence. Allocates nothing of its own.
 * count    1 .. 1,000,000,000 samples
 * rate_hz  of the samples; must be edgetl_info.rate_hz
 * logits   info.classes floats, before softmax */
EDGETL_API edgetl_status edgetl_classify_samples(edgetl_model* model, const int16_t* samples, size_t count,
                                                 int32_t rate_hz, float* logits, size_t classes, edgetl_error* error);

/* --- streams ----------------------------------------------------------------------------------------------------- */

/* Take samples until a window is complete, and run the network on it. The first window is complete when it is full.
 * Allocates nothing of its own.
 * taken  receives how many samples were taken; those after them belong to the next call
 * hop    receives what the window showed, valid until the next call with this stream; NULL when all samples were taken
 *        and no window is complete: call again until then */
EDGETL_API edgetl_status edgetl_stream_push(edgetl_stream* stream, const int16_t* samples, size_t count, size_t* taken,
                                            const edgetl_hop** hop, edgetl_error* error);

#ifdef __cplusplus
}
#endif

#endif /* EDGETL_AUDIO_H */
