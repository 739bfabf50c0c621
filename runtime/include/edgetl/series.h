/* edgetl runtime for series: classify windows of sensor channels, one by one or as a stream. Part of the C ABI of runtime.h, whose rules for
 * ownership, memory, threads and errors hold here too.
 *
 *   #include <edgetl/series.h>
 *
 *   edgetl_classify_window(model, values, steps, info.channels, logits, info.classes, &error);
 */
#ifndef EDGETL_SERIES_H
#define EDGETL_SERIES_H

#include "edgetl/runtime.h"
#include "edgetl/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One inference on a window of any length: its beginning where it is longer than edgetl_info.steps, else it stays at its
 * last time step. Scaling is inside the model. Allocates nothing of its own.
 * values    (steps, channels), one time step after the other, in the sensors' own units; finite
 * steps     1 .. 2^20
 * channels  must be edgetl_info.channels
 * logits    info.classes floats, before softmax */
EDGETL_API edgetl_status edgetl_classify_window(edgetl_model* model, const float* values, size_t steps, size_t channels,
                                                float* logits, size_t classes, edgetl_error* error);

/* Take time steps until a window is complete, and run the network on it. The first window is complete when it is full.
 * Allocates nothing of its own. A value that is not finite is refused, and nothing of the call is taken.
 * values    (time steps, channels), in the sensors' own units
 * channels  must be edgetl_info.channels
 * taken     receives how many time steps were taken; those after them belong to the next call
 * hop       receives what the window showed, valid until the next call with this stream; NULL when all time steps were taken
 *           and no window is complete: call again until then */
EDGETL_API edgetl_status edgetl_stream_push_steps(edgetl_stream* stream, const float* values, size_t time_steps,
                                                  size_t channels, size_t* taken, const edgetl_hop** hop,
                                                  edgetl_error* error);

#ifdef __cplusplus
}
#endif

#endif /* EDGETL_SERIES_H */
