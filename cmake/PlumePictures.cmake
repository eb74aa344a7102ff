# plume_picture_decoders(<interface target>): the target decodes JPEG with libjpeg-turbo and PNG with libpng where
# they are found; without them stb_image decodes both. For our build and for find_package(plume).
include(CheckCXXSymbolExists)

function(plume_picture_decoders target)
  find_package(JPEG QUIET)
  if(JPEG_FOUND)
    # Other libjpegs (IJG's 7 to 9) decode to other pixels.
    set(CMAKE_REQUIRED_INCLUDES ${JPEG_INCLUDE_DIRS})
    set(CMAKE_REQUIRED_QUIET ON)
    check_cxx_symbol_exists(LIBJPEG_TURBO_VERSION "cstdio;jpeglib.h" PLUME_JPEG_IS_TURBO)
  endif()
  if(JPEG_FOUND AND PLUME_JPEG_IS_TURBO)
    target_link_libraries(${target} INTERFACE JPEG::JPEG)
    target_compile_definitions(${target} INTERFACE PLUME_WITH_JPEG)
  else()
    message(STATUS "Plume: libjpeg-turbo was not found; stb_image decodes JPEG, within 3 of 255 levels of Pillow "
                   "and without CMYK (Debian, Ubuntu: sudo apt-get install libjpeg-dev)")
  endif()
  find_package(PNG QUIET)
  if(PNG_FOUND)
    target_link_libraries(${target} INTERFACE PNG::PNG)
    target_compile_definitions(${target} INTERFACE PLUME_WITH_PNG)
  else()
    message(STATUS "Plume: libpng was not found; stb_image decodes PNG (Debian, Ubuntu: sudo apt-get install libpng-dev)")
  endif()
endfunction()
