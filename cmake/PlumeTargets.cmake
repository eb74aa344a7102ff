# What our own programs are compiled with. None of it reaches the exported targets.

set(PLUME_WARNINGS $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-Wall -Wextra -Wconversion -Wshadow>)

# plume_program(<target> [optimise flag for Release]): the settings of a program of this repository.
function(plume_program target)
  target_link_libraries(${target} PRIVATE plume::pictures)
  target_compile_options(${target} PRIVATE ${PLUME_WARNINGS})
  if(ARGC GREATER 1)
    target_compile_options(${target} PRIVATE "$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:${ARGV1}>")
  endif()
  if(PLUME_WERROR)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  endif()
  if(PLUME_NATIVE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-march=native>)
  endif()
  if(PLUME_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${PLUME_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
    target_link_options(${target} PRIVATE -fsanitize=${PLUME_SANITIZE})
  endif()
  if(PLUME_CUDA AND TARGET plume::cuda)
    target_link_libraries(${target} PRIVATE plume::cuda)
  endif()
endfunction()
