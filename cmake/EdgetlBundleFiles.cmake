# Reads a bundle's manifest.json; run as a script it writes what a program compiles in, or copies the bundle.
# A manifest's texts hold anything, `;` and brackets too: they stay quoted wherever they go.
#   cmake -Dstep=generate -Dfolder=... -Dident=... -Dbeside=... -Dsource=... -Dheader=... -P EdgetlBundleFiles.cmake
#   cmake -Dstep=copy -Dfolder=... -Dcopy=... -Dlock=... -P EdgetlBundleFiles.cmake
cmake_policy(PUSH)
cmake_policy(VERSION 3.20)

# edgetl_member(variable json key...): the value, or an error that names the file.
function(edgetl_member variable json)
  string(JSON value ERROR_VARIABLE problem GET "${json}" ${ARGN})
  if(problem)
    message(FATAL_ERROR "${folder}/manifest.json: not a manifest of schema 1 or 2: ${problem}")
  endif()
  set(${variable} "${value}" PARENT_SCOPE)
endfunction()

# Sets bundle_manifest, bundle_files, and bundle_<file>_bytes in the caller. Sizes are checked, bytes are not.
function(edgetl_read_bundle folder)
  if(NOT EXISTS "${folder}/manifest.json")
    message(FATAL_ERROR "${folder}: not a bundle: no manifest.json; `edgetl build` writes bundles")
  endif()
  file(READ "${folder}/manifest.json" manifest)
  edgetl_member(schema "${manifest}" schema)
  if(NOT schema MATCHES "^[12]$")
    message(FATAL_ERROR "${folder}/manifest.json: schema ${schema}; this edgetl reads schemas 1 and 2")
  endif()
  edgetl_member(entries "${manifest}" files)
  string(JSON count LENGTH "${entries}")
  set(files "")
  if(count GREATER 0)
    math(EXPR last "${count} - 1")
    foreach(index RANGE ${last})
      string(JSON name MEMBER "${entries}" ${index})
      if(NOT name MATCHES "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
        message(FATAL_ERROR "${folder}/manifest.json: file name `${name}` leaves the folder or has odd characters")
      endif()
      edgetl_member(bytes "${entries}" "${name}" size_bytes)
      if(NOT EXISTS "${folder}/${name}")
        message(FATAL_ERROR "${folder}: ${name} is missing; copy the whole folder again")
      endif()
      file(SIZE "${folder}/${name}" found)
      if(NOT found EQUAL bytes)
        message(FATAL_ERROR "${folder}/${name}: ${found} bytes, the manifest says ${bytes}; copy the folder again")
      endif()
      list(APPEND files "${name}")
      set(bundle_${name}_bytes "${bytes}" PARENT_SCOPE)
    endforeach()
  endif()
  set(bundle_files "${files}" PARENT_SCOPE)
  set(bundle_manifest "${manifest}" PARENT_SCOPE)
endfunction()

function(edgetl_check_digests folder)
  edgetl_member(entries "${bundle_manifest}" files)
  foreach(name IN LISTS bundle_files)
    edgetl_member(expected "${entries}" "${name}" sha256)
    file(SHA256 "${folder}/${name}" found)
    if(NOT found STREQUAL expected)
      message(FATAL_ERROR "${folder}/${name}: its SHA-256 is not the manifest's; copy the folder again")
    endif()
  endforeach()
endfunction()

# The labels as C string literals with commas. JSON's literals are C's, except for \uXXXX of control characters and
# surrogate pairs, and for trigraphs.
function(edgetl_label_literals variable)
  edgetl_member(text "${bundle_manifest}" labels)
  string(REGEX REPLACE "^\\[[ \n]*" "" text "${text}")
  string(REGEX REPLACE "[ \n]*\\]$" "" text "${text}")
  string(REPLACE "\\\\" "\\134" text "${text}")
  string(REGEX REPLACE "\\\\u00([01][0-9a-fA-F])" "\\\\x\\1\"\"" text "${text}")
  edgetl_join_surrogates(text "${text}")
  string(REPLACE "?" "\\?" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# \uD83D\uDE00 -> \U0001F600 (RFC 8259, section 7)
function(edgetl_join_surrogates variable text)
  while(text MATCHES "\\\\u([dD][89aAbB][0-9a-fA-F][0-9a-fA-F])\\\\u([dD][c-fC-F][0-9a-fA-F][0-9a-fA-F])")
    set(pair "${CMAKE_MATCH_0}")
    math(EXPR code "0x10000 + ((0x${CMAKE_MATCH_1} - 0xD800) << 10) + (0x${CMAKE_MATCH_2} - 0xDC00)"
         OUTPUT_FORMAT HEXADECIMAL)
    string(REGEX REPLACE "^0x" "000" digits "${code}")
    string(REGEX MATCH "........$" digits "${digits}")
    string(REPLACE "${pair}" "\\U${digits}" text "${text}")
  endwhile()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# Sets `variable` to what the header declares of a detector beyond labels and size, "" for other tasks.
function(edgetl_detector_declarations variable)
  string(JSON task ERROR_VARIABLE none GET "${bundle_manifest}" task)  # schema 1 has none
  set(text "")
  if(task STREQUAL "detection")
    edgetl_member(places "${bundle_manifest}" signature outputs 0 shape 1)
    edgetl_member(candidates "${bundle_manifest}" postprocess max_candidates)
    edgetl_member(detections "${bundle_manifest}" postprocess max_detections)
    set(text "
enum { ${ident}_places = ${places} }; /* boxes that the network gives, before the threshold and suppression */
enum { ${ident}_max_candidates = ${candidates}, ${ident}_max_detections = ${detections} };
extern const float ${ident}_score_threshold, ${ident}_iou_threshold; /* of the bundle's own settings */")
  endif()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

function(edgetl_detector_definitions variable)
  string(JSON task ERROR_VARIABLE none GET "${bundle_manifest}" task)
  set(text "")
  if(task STREQUAL "detection")
    foreach(name IN ITEMS score_threshold iou_threshold)
      edgetl_member(value "${bundle_manifest}" postprocess ${name})
      string(APPEND text "extern \"C\" const float ${ident}_${name} = static_cast<float>(${value});\n")
    endforeach()
  endif()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

function(edgetl_write_header)
  edgetl_member(height "${bundle_manifest}" preprocessing height)
  edgetl_member(width "${bundle_manifest}" preprocessing width)
  string(JSON classes LENGTH "${bundle_manifest}" labels)
  get_filename_component(folder_name "${folder}" NAME)
  edgetl_detector_declarations(detector)
  if(beside)
    set(where "#define ${ident}_folder \"${beside}\" /* beside the program; for edgetl_open_beside */")
  else()
    set(where "const edgetl_file* ${ident}_files(size_t* count); /* for edgetl_open_files */")
  endif()
  file(WRITE "${header}" "/* Generated from the bundle ${folder_name}. */
#ifndef EDGETL_BUNDLE_${ident}
#define EDGETL_BUNDLE_${ident}

#include <edgetl/runtime.h>

#ifdef __cplusplus
extern \"C\" {
#endif

enum { ${ident}_height = ${height}, ${ident}_width = ${width}, ${ident}_classes = ${classes} };${detector}
extern const char* const ${ident}_labels[${classes}];
extern const char ${ident}_digest[65]; /* SHA-256 of manifest.json */
${where}

#ifdef __cplusplus
}
#endif

#endif
")
endfunction()

function(edgetl_write_source)
  edgetl_label_literals(labels)
  file(SHA256 "${folder}/manifest.json" digest)
  set(text "#include <edgetl/${ident}.h>\n\n")
  string(APPEND text "extern \"C\" const char* const ${ident}_labels[] = {\n${labels}};\n")
  string(APPEND text "extern \"C\" const char ${ident}_digest[65] = \"${digest}\";\n")
  edgetl_detector_definitions(detector)
  string(APPEND text "${detector}")
  if(NOT beside)
    edgetl_embedded_files(files)
    string(APPEND text "${files}")
  endif()
  file(WRITE "${source}" "${text}")
endfunction()

# The assembler includes files unchanged: of any size, quickly, and for every machine.
function(edgetl_embedded_files variable)
  set(bytes "")
  set(table "")
  file(SIZE "${folder}/manifest.json" bundle_manifest.json_bytes)
  set(all_files manifest.json ${bundle_files})
  set(index 0)
  foreach(name IN LISTS all_files)
    set(symbol "edgetl_${ident}_file_${index}")
    string(APPEND bytes "
__asm__(\".section .rodata\\n.balign 64\\n.global ${symbol}\\n.hidden ${symbol}\\n${symbol}:\\n\"
        \".incbin \\\"${folder}/${name}\\\"\\n.byte 0\\n.previous\\n\");
extern \"C\" __attribute__((visibility(\"hidden\"))) const unsigned char ${symbol}[];
")
    string(APPEND table "    {\"${name}\", ${symbol}, ${bundle_${name}_bytes}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(${variable} "${bytes}
extern \"C\" const edgetl_file* ${ident}_files(size_t* count) {
  static const edgetl_file files[] = {
${table}  };
  *count = ${index};
  return files;
}
" PARENT_SCOPE)
endfunction()

# Whether `copy` holds what the bundle holds; edgetl_check_digests vouches for the bundle.
function(edgetl_is_copied variable)
  set(${variable} FALSE PARENT_SCOPE)
  set(all_files manifest.json ${bundle_files})
  foreach(name IN LISTS all_files)
    if(NOT EXISTS "${copy}/${name}")
      return()
    endif()
    file(SHA256 "${folder}/${name}" wanted)
    file(SHA256 "${copy}/${name}" found)
    if(NOT found STREQUAL wanted)
      return()
    endif()
  endforeach()
  set(${variable} TRUE PARENT_SCOPE)
endfunction()

# Files that the bundle no longer has go away with the old copy. Several programs in one folder may copy the same bundle at once:
# one copies it, the others wait and find it copied.
function(edgetl_copy_bundle)
  file(LOCK "${lock}" GUARD FUNCTION)
  if(EXISTS "${copy}")
    file(REAL_PATH "${folder}" from)
    file(REAL_PATH "${copy}" to)
    if(from STREQUAL to)
      return()
    endif()
    if(NOT EXISTS "${copy}/manifest.json")
      message(FATAL_ERROR "${copy} is not a copy of a bundle; move it away, the copy goes there")
    endif()
    edgetl_is_copied(done)
    if(done)
      return()
    endif()
    file(REMOVE_RECURSE "${copy}")
  endif()
  set(all_files manifest.json ${bundle_files})
  foreach(name IN LISTS all_files)
    get_filename_component(place "${copy}/${name}" DIRECTORY)
    file(COPY "${folder}/${name}" DESTINATION "${place}")
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  edgetl_read_bundle("${folder}")
  edgetl_check_digests("${folder}")
  if(step STREQUAL "generate")
    edgetl_write_header()
    edgetl_write_source()
  else()
    edgetl_copy_bundle()
  endif()
endif()
cmake_policy(POP)
