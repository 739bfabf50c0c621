# Prints once, at the end of the configuration, what this build has and what was left out.
include_guard(GLOBAL)

function(edgetl_note part text)
  set_property(GLOBAL APPEND PROPERTY EDGETL_SUMMARY "${part}: ${text}")
endfunction()

function(edgetl_print_summary)
  get_property(lines GLOBAL PROPERTY EDGETL_SUMMARY)
  message(STATUS "edgetl ${PROJECT_VERSION} runtime for ${CMAKE_SYSTEM_PROCESSOR}")
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
endfunction()
