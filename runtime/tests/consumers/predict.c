/* Opens the bundle beside the program, or the one inside it, and predicts one grey picture. */
#include <edgetl/tiny_null.h>
#include <stdio.h>
#include <string.h>

static edgetl_status open_model(edgetl_model** model, edgetl_error* error) {
#ifdef EMBEDDED
  size_t count = 0;
  const edgetl_file* files = tiny_null_files(&count);
  return edgetl_open_files(files, count, NULL, model, error);
#else
  return edgetl_open_beside(tiny_null_folder, NULL, model, error);
#endif
}

int main(void) {
  static const uint8_t pixels[9 * 9] = {0};
  static uint64_t scratch[4096];
  const edgetl_image image = {pixels, 9, 9, 9, EDGETL_GREY};
  uint8_t input[tiny_null_height * tiny_null_width * 3];
  float logits[tiny_null_classes];
  edgetl_error error;
  edgetl_model* model = NULL;
  edgetl_info info = {0};
  info.struct_size = sizeof info;
  if (open_model(&model, &error) != EDGETL_OK || edgetl_get_info(model, &info) != EDGETL_OK ||
      edgetl_preprocess(model, &image, scratch, sizeof scratch, input, sizeof input, &error) != EDGETL_OK ||
      edgetl_run(model, input, sizeof input, logits, tiny_null_classes, &error) != EDGETL_OK) {
    puts(error.message);
    return 1;
  }
  if (strcmp(info.digest, tiny_null_digest) != 0 || info.height != tiny_null_height || info.width != tiny_null_width) {
    puts("the generated header is not of this bundle");
    return 1;
  }
  printf("%s, %d classes: %s\n", info.name, info.classes,
         edgetl_label(model, edgetl_argmax(logits, tiny_null_classes)));
  printf("the other one: %s\n", tiny_null_labels[1]);
  edgetl_close(model);
  return 0;
}
