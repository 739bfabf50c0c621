# What is in this build and what was left out, told once at the end of the configuration.
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
