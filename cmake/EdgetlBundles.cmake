# A model as part of a build.
#
#   edgetl_add_bundle(app BUNDLE dir [EMBED] [NAME ident])
#       Copies the bundle beside the program, or with EMBED links it into the program. Either way the program can
#       include <edgetl/ident.h>: input size, classes, labels, digest, and with EMBED the array for edgetl_open_files.
#       `dir` is a bundle's folder or the name given to edgetl_compile_bundle. `ident` names the header, its symbols and
#       the copy; it defaults to the folder's name.
#
#   edgetl_compile_bundle(name RECIPE file TARGET arm64-cpu [OUT dir] [DEPENDS path...])
#       Runs `edgetl build` while building. Without DEPENDS every build asks edgetl whether anything changed; with
#       it only a changed recipe or path does (a folder stands for the files below it).
#       EDGETL_EXECUTABLE names the program, for example that of a virtual environment.
include_guard(GLOBAL)
include("${CMAKE_CURRENT_LIST_DIR}/EdgetlBundleFiles.cmake")

function(edgetl_add_bundle app)
  cmake_parse_arguments(arg "EMBED" "BUNDLE;NAME" "" ${ARGN})
  if(NOT TARGET ${app})
    message(FATAL_ERROR "edgetl_add_bundle(${app}): no such target; call add_executable first")
  endif()
  if(NOT arg_BUNDLE OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "edgetl_add_bundle(${app}): expected BUNDLE dir [EMBED] [NAME ident], found `${ARGN}`")
  endif()

  if(TARGET ${arg_BUNDLE})
    get_target_property(folder ${arg_BUNDLE} EDGETL_BUNDLE_FOLDER)
    get_target_property(stamp ${arg_BUNDLE} EDGETL_BUNDLE_STAMP)
    set(depends ${arg_BUNDLE} "${stamp}")
  else()
    get_filename_component(folder "${arg_BUNDLE}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    edgetl_read_bundle("${folder}")
    list(TRANSFORM bundle_files PREPEND "${folder}/" OUTPUT_VARIABLE depends)
    list(APPEND depends "${folder}/manifest.json")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/manifest.json")
  endif()
  if(NOT arg_NAME)
    get_filename_component(arg_NAME "${folder}" NAME)
  endif()
  if(NOT arg_NAME MATCHES "^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    message(FATAL_ERROR "edgetl_add_bundle(${app}): expected NAME of letters, digits, `_`, `-`, `.`; found `${arg_NAME}`")
  endif()
  string(MAKE_C_IDENTIFIER "${arg_NAME}" ident)
  edgetl_claim("header edgetl/${ident}.h of ${app}" "${app}/${ident}" "${folder}")

  set(place "${CMAKE_CURRENT_BINARY_DIR}/edgetl-bundles/${app}")
  set(source "${place}/${ident}.cpp")
  set(header "${place}/include/edgetl/${ident}.h")
  set(script "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/EdgetlBundleFiles.cmake")
  set(beside "${arg_NAME}")
  if(arg_EMBED)
    set(beside "")
  endif()
  add_custom_command(
    OUTPUT "${source}" "${header}"
    COMMAND "${CMAKE_COMMAND}" -Dstep=generate "-Dfolder=${folder}" -Dident=${ident} "-Dbeside=${beside}"
            "-Dsource=${source}" "-Dheader=${header}" -P "${script}"
    DEPENDS ${depends} "${script}"
    COMMENT "Reading bundle ${folder}" VERBATIM)
  target_sources(${app} PRIVATE "${source}" "${header}")
  # assembler statements at file level do not survive link-time optimization
  set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS -fno-lto OBJECT_DEPENDS "${header}")
  target_include_directories(${app} PRIVATE "${place}/include")
  target_link_libraries(${app} PRIVATE edgetl::runtime)
  if(TARGET ${arg_BUNDLE})
    add_dependencies(${app} ${arg_BUNDLE})
  endif()

  if(NOT arg_EMBED)
    get_target_property(programs ${app} RUNTIME_OUTPUT_DIRECTORY)
    if(NOT programs)
      set(programs "${CMAKE_CURRENT_BINARY_DIR}")
    endif()
    edgetl_claim("copy ${programs}/${beside}" "${programs}/${beside}" "${folder}")
    add_custom_command(TARGET ${app} POST_BUILD
      COMMAND "${CMAKE_COMMAND}" -Dstep=copy "-Dfolder=${folder}" "-Dcopy=$<TARGET_FILE_DIR:${app}>/${beside}"
              "-Dlock=${CMAKE_BINARY_DIR}/edgetl-bundles/${beside}.lock" -P "${script}"
      COMMENT "Copying bundle ${beside} beside ${app}" VERBATIM)
  endif()
endfunction()

# One name must not stand for two bundles: the second would replace the first.
function(edgetl_claim what key folder)
  string(MD5 key "${key}")
  get_property(owner GLOBAL PROPERTY EDGETL_BUNDLE_OF_${key})
  if(owner AND NOT owner STREQUAL folder)
    message(FATAL_ERROR "edgetl_add_bundle: ${what} would belong to two bundles, ${owner} and ${folder}; "
                        "give one of them another NAME")
  endif()
  set_property(GLOBAL PROPERTY EDGETL_BUNDLE_OF_${key} "${folder}")
endfunction()

function(edgetl_compile_bundle name)
  cmake_parse_arguments(arg "" "RECIPE;TARGET;OUT" "DEPENDS" ${ARGN})
  if(NOT arg_RECIPE OR NOT arg_TARGET OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "edgetl_compile_bundle(${name}): expected RECIPE file TARGET target, found `${ARGN}`")
  endif()
  get_filename_component(recipe "${arg_RECIPE}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT EXISTS "${recipe}")
    message(FATAL_ERROR "edgetl_compile_bundle(${name}): no recipe ${recipe}")
  endif()
  find_program(EDGETL_EXECUTABLE edgetl DOC "The edgetl command line" NO_CMAKE_FIND_ROOT_PATH)
  if(NOT EDGETL_EXECUTABLE)
    message(FATAL_ERROR "edgetl_compile_bundle(${name}): no edgetl on PATH; install it, or set EDGETL_EXECUTABLE")
  endif()
  if(NOT arg_OUT)
    set(arg_OUT "${CMAKE_CURRENT_BINARY_DIR}/edgetl-builds/${name}")
  endif()
  get_filename_component(out "${arg_OUT}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")

  set(folder "${out}/bundles/${name}-${arg_TARGET}")
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/edgetl-bundles/${name}.manifest.json")
  set(build
    COMMAND "${EDGETL_EXECUTABLE}" build "${recipe}" --out "${out}" --set "name=${name}" --set "targets=[${arg_TARGET}]"
    COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${folder}/manifest.json" "${stamp}")
  if(arg_DEPENDS)
    edgetl_files_below(paths ${arg_DEPENDS})
    add_custom_command(OUTPUT "${stamp}" ${build} COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
                       DEPENDS "${recipe}" ${paths} COMMENT "edgetl build ${recipe}" VERBATIM)
    add_custom_target(${name} DEPENDS "${stamp}")
  else()
    add_custom_target(${name} ${build} BYPRODUCTS "${stamp}" COMMENT "edgetl build ${recipe}" VERBATIM)
  endif()
  set_target_properties(${name} PROPERTIES EDGETL_BUNDLE_FOLDER "${folder}" EDGETL_BUNDLE_STAMP "${stamp}")
endfunction()

function(edgetl_files_below variable)
  set(found "")
  foreach(path IN LISTS ARGN)
    get_filename_component(path "${path}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    if(IS_DIRECTORY "${path}")
      file(GLOB_RECURSE below CONFIGURE_DEPENDS "${path}/*")
      list(APPEND found ${below})
    else()
      list(APPEND found "${path}")
    endif()
  endforeach()
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()
