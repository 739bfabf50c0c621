# write_bundle(folder label label): a bundle of the null target, made without the Python side. Labels as in JSON.
function(write_bundle folder first second)
  file(WRITE "${folder}/model.onnx" "no real model!")
  file(SHA256 "${folder}/model.onnx" digest)
  string(REPLACE "\\\"" "\"" labels "${first}\n${second}\n")
  string(REPLACE "\\\\" "\\" labels "${labels}")
  file(WRITE "${folder}/labels.txt" "${labels}")
  file(SHA256 "${folder}/labels.txt" labels_digest)
  file(SIZE "${folder}/labels.txt" labels_bytes)
  file(WRITE "${folder}/manifest.json" "{
 \"schema\": 1,
 \"name\": \"tiny-null\",
 \"edgetl_version\": \"0.1.0\",
 \"target\": {
  \"name\": \"null\",
  \"summary\": \"answers zeros; for tests]\",
  \"backend\": \"null\",
  \"machine\": \"any\",
  \"accelerator\": \"none\",
  \"precisions\": [\"float32\"],
  \"scheme\": {
   \"activation_dtype\": \"uint8\",
   \"activation_symmetric\": false,
   \"weight_granularity\": \"channel\",
   \"weight_pairs_in_int16\": false,
   \"operators\": [\"conv\"]
  },
  \"options\": {},
  \"notes\": \"\"
 },
 \"compiled\": {
  \"backend\": \"null\",
  \"backend_version\": \"0.1.0\",
  \"precision\": \"float32\",
  \"model\": \"model.onnx\",
  \"files\": [\"model.onnx\"],
  \"finished\": true,
  \"facts\": {}
 },
 \"scheme\": null,
 \"labels\": [\"${first}\", \"${second}\"],
 \"preprocessing\": {
  \"height\": 4,
  \"width\": 6,
  \"resize\": \"squash\",
  \"mean\": [0.0, 0.0, 0.0],
  \"std\": [1.0, 1.0, 1.0],
  \"crop_pct\": 0.875,
  \"interpolation\": \"bilinear\",
  \"fill\": [128, 128, 128]
 },
 \"pivot_sha256\": \"${digest}\",
 \"golden\": null,
 \"verdict\": \"not measured\",
 \"reason\": \"slower; not [better\",
 \"measured\": null,
 \"files\": {
  \"labels.txt\": {\"sha256\": \"${labels_digest}\", \"size_bytes\": ${labels_bytes}},
  \"model.onnx\": {\"sha256\": \"${digest}\", \"size_bytes\": 14}
 }
}
")
endfunction()
