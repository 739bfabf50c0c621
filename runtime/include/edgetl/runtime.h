/* edgetl runtime: open a bundle on a device and run it. C ABI; no Python, no exceptions, and the engine as the only dependency.
 *
 *   #include <edgetl/runtime.h>
 *
 *   edgetl_error error;
 *   edgetl_model* model = NULL;
 *   if (edgetl_open_beside("steel-arm64-cpu", NULL, &model, &error) != EDGETL_OK) { puts(error.message); return 1; }
 *
 *   edgetl_info info = {.struct_size = sizeof info};
 *   edgetl_get_info(model, &info);
 *   size_t scratch_bytes = 0;
 *   edgetl_scratch_bytes(model, 1920, 1080, &scratch_bytes, NULL);
 *   void* scratch = malloc(scratch_bytes);
 *   uint8_t* input = malloc(info.input_bytes);
 *   float* logits = malloc(info.classes * sizeof(float));
 *
 *   edgetl_image frame = {camera_pixels, 1920, 1080, 1920 * 3, EDGETL_RGB};          // for every frame:
 *   edgetl_preprocess(model, &frame, scratch, scratch_bytes, input, info.input_bytes, NULL);
 *   if (edgetl_run(model, input, info.input_bytes, logits, info.classes, &error) != EDGETL_OK) puts(error.message);
 *   puts(edgetl_label(model, edgetl_argmax(logits, info.classes)));
 *
 *   edgetl_close(model);
 *
 * A detector needs neither `input` nor `logits`:
 *
 *   edgetl_detection found[100];                                                      // info.max_detections
 *   size_t count = 0;
 *   edgetl_detect(model, &frame, scratch, scratch_bytes, NULL, found, 100, &count, &error);
 *
 * Sound is in edgetl/audio.h, streams in edgetl/stream.h.
 *
 * Ownership   Results of functions (`edgetl_model`, the strings of `edgetl_info`, labels) belong to the model and
 *             live until `edgetl_close`. Buffers that are passed in belong to the caller and are used during the call.
 * Memory      `edgetl_open` and its variants allocate; `edgetl_preprocess`, `edgetl_run` and `edgetl_detect` allocate
 *             nothing of their own. An engine may allocate memory during an inference.
 * Threads     Different models may be used by different threads at the same time. One model is run by one thread at a
 *             time: an `edgetl_run` or `edgetl_detect` during another one of the same model returns
 *             EDGETL_INVALID_ARGUMENT and leaves its logits or objects unchanged. `edgetl_preprocess`,
 *             `edgetl_get_info`, `edgetl_get_postprocess` and `edgetl_label` only read the model.
 *             The first opening of an onnxruntime model sets ORT_DISABLE_TELEMETRY=1 in the environment unless it is
 *             set: until that call returns no other thread may use getenv or setenv, or the program sets it before.
 * Errors      Every call that can fail returns a status; none throws, aborts or prints. An `edgetl_error*`
 *             argument may be NULL; on failure it says what was expected, what was found, where, and what to do.
 * Versions    Structures that may grow begin with `struct_size`; set it to their sizeof.
 */
#ifndef EDGETL_RUNTIME_H
#define EDGETL_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define EDGETL_RUNTIME_VERSION "0.1.0"
#define EDGETL_MANIFEST_SCHEMA 2 /* bundles of schema 1 are read too */

#if defined(EDGETL_SHARED) && defined(__GNUC__)
#define EDGETL_API __attribute__((visibility("default")))
#else
#define EDGETL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- status ------------------------------------------------------------------------------------------------------ */

typedef enum edgetl_status {
  EDGETL_OK = 0,
  /* the call */
  /* NULL where a value is needed, a buffer of another size, an image of 0 pixels, a model that another thread runs */
  EDGETL_INVALID_ARGUMENT = 1,
  EDGETL_OUT_OF_MEMORY = 2,
  /* the bundle */
  EDGETL_BUNDLE_UNREADABLE = 16, /* no such folder, no permission, a disk error */
  EDGETL_BUNDLE_INVALID = 17, /* no manifest of a known schema; missing, foreign or linked files; sizes out of bounds */
  EDGETL_BUNDLE_CHANGED = 18, /* size or SHA-256 of a file is not what the manifest says */
  EDGETL_BUNDLE_FOREIGN = 19, /* built for another kind of machine, or not finished on its device */
  /* the engine */
  EDGETL_ENGINE_NOT_BUILT = 32, /* this library was built without the engine the bundle needs */
  EDGETL_ENGINE_MISSING = 33,   /* its shared library is not on this device, or too old */
  EDGETL_ENGINE_REFUSED = 34,   /* the engine rejects the model */
  EDGETL_ENGINE_FAILED = 35,    /* an inference failed */
  /* the self-test */
  EDGETL_CHECK_FAILED = 48 /* a golden image came out differently */
} edgetl_status;

/* The status' name, for example "EDGETL_BUNDLE_CHANGED"; never NULL. */
EDGETL_API const char* edgetl_status_name(edgetl_status status);

/* One line, at most 511 bytes, zero-terminated. `message` is "" and `status` EDGETL_OK after a success. */
typedef struct edgetl_error {
  edgetl_status status;
  char message[512];
} edgetl_error;

/* --- open and close ---------------------------------------------------------------------------------------------- */

typedef struct edgetl_model edgetl_model;

typedef struct edgetl_options {
  size_t struct_size;
  /* Threads per inference. 0: all that this process may use (CPU affinity and cgroup quota, not the host's). */
  int32_t threads;
  /* Path of the engine's shared library. NULL: EDGETL_ENGINE_LIBRARY of the environment, else the usual names. */
  const char* engine_library;
  /* Nonzero: do not compute SHA-256 of the files (sizes are still checked). For short boot times on file
   * systems that are verified by other means (dm-verity). EDGETL_SKIP_DIGEST=1 in the environment does the same.
   * Either way there is a warning. */
  int32_t skip_digest;
  /* Called with one line per warning during the open call; NULL: the line goes to stderr. */
  void (*warn)(void* user, const char* line);
  void* user;
} edgetl_options;

/* Open the bundle in a folder: every file is checked against the manifest, then the engine compiles the model.
 * options  NULL: threads 0, everything checked.
 * model    set to the model, or to NULL on failure. */
EDGETL_API edgetl_status edgetl_open(const char* folder, const edgetl_options* options, edgetl_model** model,
                                     edgetl_error* error);

/* The same, with `folder` relative to the folder of the running program's file (/proc/self/exe), wherever it was
 * started: the place to which `edgetl_add_bundle` copies a bundle. An absolute path is used unchanged. */
EDGETL_API edgetl_status edgetl_open_beside(const char* folder, const edgetl_options* options, edgetl_model** model,
                                            edgetl_error* error);

/* A file of a bundle that was compiled into the program; `edgetl_add_bundle(... EMBED)` writes the array. */
typedef struct edgetl_file {
  const char* name; /* inside the bundle, for example "golden/0.input.npy" */
  const uint8_t* data;
  size_t bytes;
} edgetl_file;

/* The same for a bundle in memory. The bytes must stay where they are until `edgetl_close`. */
EDGETL_API edgetl_status edgetl_open_files(const edgetl_file* files, size_t count, const edgetl_options* options,
                                           edgetl_model** model, edgetl_error* error);

/* NULL is allowed. */
EDGETL_API void edgetl_close(edgetl_model* model);

/* --- what it is -------------------------------------------------------------------------------------------------- */

typedef struct edgetl_info {
  size_t struct_size;
  int32_t height; /* of the network's input, in pixels; 0 for sound and texts */
  int32_t width;
  int32_t classes;
  int32_t threads;            /* per inference */
  size_t input_bytes;         /* height * width * 3; of sound 2 * window, of texts 4 * max_tokens, of
                                 series 4 * steps * channels */
  const char* name;           /* of the bundle */
  const char* target;         /* for example "arm64-cpu" */
  const char* engine;         /* for example "onnxruntime" */
  const char* engine_version; /* of the shared library that was loaded; "" for null */
  const char* precision;      /* "int8", "mixed", "simplified", "float16", "bfloat16", "float32" */
  const char* digest;         /* SHA-256 of manifest.json, 64 hexadecimal digits */
  const char* task;           /* "classification" or "detection" */
  int32_t max_detections;     /* of an image, as the bundle sets it; 0 for a classifier */
  const char* front; /* "image", "audio" (edgetl/audio.h), "text" (edgetl/text.h) or "series" (edgetl/series.h) */
  int32_t rate_hz;   /* of the recordings that it takes; 0 for images and texts, as the next two */
  int32_t window;    /* samples that the network hears at once, at window_rate_hz */
  int32_t window_rate_hz;
  int32_t max_tokens; /* of a text that the network reads; 0 for images and sound */
  int32_t steps;      /* of a window of series (edgetl/series.h) that the network sees; 0 for the others */
  int32_t channels;   /* of it */
} edgetl_info;

/* Fill as much of `info` as fits its struct_size. */
EDGETL_API edgetl_status edgetl_get_info(const edgetl_model* model, edgetl_info* info);

/* The name of class 0 .. classes - 1, UTF-8; NULL outside. */
EDGETL_API const char* edgetl_label(const edgetl_model* model, int32_t index);

/* One of several heads of a classifier, for example "defect" and "surface". Its logits are first .. first + classes - 1
 * of all; edgetl_argmax and edgetl_softmax of these are its answer. Their labels are "head/class". */
typedef struct edgetl_head {
  const char* name;
  int32_t first;
  int32_t classes;
} edgetl_head;

/* Fill in head 0, 1, ...; EDGETL_INVALID_ARGUMENT after the last. A classifier with only one head has none. */
EDGETL_API edgetl_status edgetl_get_head(const edgetl_model* model, int32_t index, edgetl_head* head);

/* The name of class 0 .. classes - 1 of a head, without that of the head; NULL outside. */
EDGETL_API const char* edgetl_head_label(const edgetl_model* model, int32_t head, int32_t index);

/* --- from an image to a prediction ------------------------------------------------------------------------------- */

typedef enum edgetl_pixels {
  EDGETL_RGB = 0,  /* 3 bytes per pixel */
  EDGETL_BGR = 1,  /* 3 bytes per pixel */
  EDGETL_GREY = 2, /* 1 byte per pixel, repeated in the three channels */
} edgetl_pixels;

typedef struct edgetl_image {
  const uint8_t* pixels; /* first row is the top one */
  int32_t width;         /* 1 .. 65535, at most 100,000,000 pixels together */
  int32_t height;
  size_t stride_bytes; /* from one row to the next */
  edgetl_pixels format;
} edgetl_image;

/* Bytes of scratch memory that `edgetl_preprocess` needs for images of this size. */
EDGETL_API edgetl_status edgetl_scratch_bytes(const edgetl_model* model, int32_t width, int32_t height, size_t* bytes,
                                              edgetl_error* error);

/* Resize and crop as the bundle declares, with exactly the bits of the Python side in training.
 * scratch  at least edgetl_scratch_bytes(width, height), aligned to 8; its content is not kept between calls.
 * input    info.input_bytes, receives uint8 RGB (height, width, 3). */
EDGETL_API edgetl_status edgetl_preprocess(const edgetl_model* model, const edgetl_image* image, void* scratch,
                                           size_t scratch_bytes, uint8_t* input, size_t input_bytes,
                                           edgetl_error* error);

/* One inference of a classifier. Blocks until `logits` is filled.
 * input   info.input_bytes, uint8 RGB (height, width, 3); scaling and normalization are inside the model.
 * logits  info.classes floats, before softmax. */
EDGETL_API edgetl_status edgetl_run(edgetl_model* model, const uint8_t* input, size_t input_bytes, float* logits,
                                    size_t classes, edgetl_error* error);

/* Index of the largest value, the first of equals; -1 when count is 0. */
EDGETL_API int32_t edgetl_argmax(const float* logits, size_t count);

/* logits -> probabilities (they may be the same array). */
EDGETL_API void edgetl_softmax(const float* logits, float* probabilities, size_t count);

/* --- from an image to objects ------------------------------------------------------------------------------------ */

/* In pixels of the image that was passed in, clipped to it: x to the right, y down. */
typedef struct edgetl_detection {
  float x0, y0, x1, y1;
  float score;   /* 0 .. 1 */
  int32_t label; /* index of the class */
} edgetl_detection;

/* How a detector's outputs become objects. */
typedef struct edgetl_postprocess {
  size_t struct_size;
  float score_threshold;  /* 0 .. 1: objects with lower scores are not reported */
  float iou_threshold;    /* 0 .. 1: of two objects of one class with a larger overlap only the better one is */
  int32_t max_candidates; /* 1 .. 10000: only so many of the best scores of an image are looked at */
  int32_t max_detections; /* 1 .. 1000: reported for an image at most */
} edgetl_postprocess;

/* The bundle's own settings, as much of them as fits struct_size. EDGETL_INVALID_ARGUMENT for a classifier. */
EDGETL_API edgetl_status edgetl_get_postprocess(const edgetl_model* model, edgetl_postprocess* settings);

/* From an image to its objects: edgetl_preprocess, one inference, threshold, suppression, and back to the image.
 * scratch     as for edgetl_preprocess: at least edgetl_scratch_bytes(width, height), aligned to 8.
 * settings    NULL: the bundle's own.
 * detections  room for `capacity`; receives the best objects, best first, with exactly the bits of the Python side.
 *             edgetl_info.max_detections of the bundle, or of `settings`, are always enough.
 * count       receives their number; 0 on failure, for example EDGETL_ENGINE_FAILED if a score or the box of an object
 *             is NaN or infinite. */
EDGETL_API edgetl_status edgetl_detect(edgetl_model* model, const edgetl_image* image, void* scratch,
                                       size_t scratch_bytes, const edgetl_postprocess* settings,
                                       edgetl_detection* detections, size_t capacity, size_t* count,
                                       edgetl_error* error);

/* --- self-test --------------------------------------------------------------------------------------------------- */

/* Decode an image file into `rgb`, uint8 RGB rows without padding, upright.
 * name      of the file, for messages; its suffix gives the format
 * capacity  bytes of `rgb`; decoding into less than the image needs must fail
 * returns   EDGETL_OK with *width and *height set */
typedef edgetl_status (*edgetl_decode_fn)(void* user, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb,
                                          size_t capacity, int32_t* width, int32_t* height);

typedef struct edgetl_check {
  int32_t image;      /* number of the golden image, recording or text */
  const char* step;   /* "decode", "resize" or of sound "window"; of texts "tokenize"; "network"; "postprocess" */
  int32_t passed;     /* 0 or 1 */
  double difference;  /* decode, resize, window: steps of 0..255, or of a sample; tokenize: tokens; network: fraction
                         of the outputs' range; else objects */
  double allowed;     /* in the same unit */
  const char* detail; /* one line; valid during the call */
} edgetl_check;

typedef void (*edgetl_check_fn)(void* user, const edgetl_check* check);

/* Replay the golden images of a bundle step by step on this device and software: decode the image file, resize
 * and crop it, run the network, and of a detector make objects of its outputs; each step starts from the golden result
 * of the step before, so the first that differs is the one at fault. Opens and closes the model; may allocate.
 * decode  the device's own decoder of images; NULL skips the step. WAV files are decoded by the library itself.
 * check   called for every step of every image; NULL is allowed
 * returns EDGETL_OK; EDGETL_CHECK_FAILED with the first step that differs in `error`; or why it could not run. */
EDGETL_API edgetl_status edgetl_verify(const char* folder, const edgetl_options* options, edgetl_decode_fn decode,
                                       void* decode_user, edgetl_check_fn check, void* check_user, edgetl_error* error);

/* --- engines ----------------------------------------------------------------------------------------------------- */

/* Name of engine 0, 1, ... that this library was built with; NULL after the last. */
EDGETL_API const char* edgetl_engine_name(int32_t index);

#ifdef __cplusplus
}
#endif

#endif /* EDGETL_RUNTIME_H */
