// What manifest.json says about the task since schema 2: the task, the front and what it prepares, the signature and the
// postprocess.
#pragma once

#include "fields.h"
#include "manifest.h"

namespace edgetl {

constexpr const char* image_name = "image";    // uint8 (1 or any, height, width, 3), RGB
constexpr const char* audio_name = "audio";    // int16 (1 or any, samples), mono
constexpr const char* tokens_name = "tokens";  // int32 (1 or any, any)
constexpr const char* series_name = "series";  // float32 (1 or any, steps, channels)
constexpr const char* logits_name = "logits";  // float32 (1 or any, classes)
constexpr const char* boxes_name = "boxes";    // float32 (1 or any, anchors, 4), corners x0 y0 x1 y1 in input pixels
constexpr const char* scores_name = "scores";  // float32 (1 or any, anchors, classes), from 0 to 1

bool read_heads(Reader& reader, Value value, Manifest& out);
bool read_task(Reader& reader, Value value, Manifest& out);
bool read_front(Reader& reader, Value value, Manifest& out);

// The front that a manifest names, before anything of it was checked: the keys of other members depend on it.
Front front_of(Value root);

bool read_audio(Reader& reader, Value value, Audio& out);
bool read_text_front(Reader& reader, Value value, Text& out);
bool read_series(Reader& reader, Value value, Series& out);
bool read_signature(Reader& reader, Value value, Manifest& out);
bool read_postprocess(Reader& reader, Value value, Manifest& out);

// What no single key can show: keys of the other schema, a signature or a postprocess that the task does not have, too
// few labels. Fills in what schema 1 does not say: it knows one task.
bool check_task(Reader& reader, Value root, Manifest& out);

}  // namespace edgetl
