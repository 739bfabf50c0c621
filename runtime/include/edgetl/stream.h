/* Streams of the edgetl runtime: windows that follow each other, and the mean of what the network said about them. Part of
 * the C ABI of runtime.h, whose rules for ownership, memory, threads and errors hold here too. Samples of sound are pushed
 * with edgetl_stream_push of audio.h, time steps of sensors with edgetl_stream_push_steps of series.h.
 */
#ifndef EDGETL_STREAM_H
#define EDGETL_STREAM_H

#include "edgetl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgetl_stream edgetl_stream;

/* Lengths are in samples at edgetl_info.window_rate_hz; of series in time steps. 0 is the default everywhere. */
typedef struct edgetl_stream_settings {
  size_t struct_size;
  int32_t hop;        /* 1 .. 2^20, from one window to the next; default: a quarter of the window */
  int32_t smoothing;  /* 1 .. 1000 inferences, over whose probabilities the mean is taken; default: 4 */
  int32_t refractory; /* 1 .. 2^30, from one detection to the next at least; default: the window */
  /* For each class the mean probability from which it is detected; above 1: never. info.classes values, copied by
   * edgetl_stream_open. NULL: nothing is detected. */
  const float* thresholds;
} edgetl_stream_settings;

/* What one window showed. */
typedef struct edgetl_hop {
  int64_t begin; /* of the window, in samples or time steps pushed since the stream was opened or reset, rounded down */
  int64_t end;
  const float* probabilities; /* of all classes: the mean over the last `smoothing` windows, or as many as there were */
  int32_t label;              /* index of the largest, the first of equals */
  int32_t detected;           /* index of the largest that reaches its threshold, or -1: none does, or too soon */
} edgetl_hop;

/* Memory for a stream through the model, which must stay open as long. Several streams may share one model.
 * settings  NULL: defaults
 * stream    set to the stream, or to NULL on failure */
EDGETL_API edgetl_status edgetl_stream_open(edgetl_model* model, const edgetl_stream_settings* settings,
                                            edgetl_stream** stream, edgetl_error* error);

/* The recording has ended: windows that are complete with the last samples. Call until `hop` is NULL. Afterwards the
 * stream takes no samples until it is reset. */
EDGETL_API edgetl_status edgetl_stream_end(edgetl_stream* stream, const edgetl_hop** hop, edgetl_error* error);

/* Begin again, as after edgetl_stream_open. NULL is allowed. */
EDGETL_API void edgetl_stream_reset(edgetl_stream* stream);

/* NULL is allowed. */
EDGETL_API void edgetl_stream_close(edgetl_stream* stream);

#ifdef __cplusplus
}
#endif

#endif /* EDGETL_STREAM_H */
