# cmake -DOUT=page.c -DNAME=page -DFILES=a.html;b.css -P embed.cmake: files as data, as a table of assets
# (weaprous/files.h) with the names NAME_assets and NAME_assets_count. The address is the name of the file.
set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

set(arrays "")
set(rows "")
set(n 0)
foreach(file IN LISTS FILES)
  get_filename_component(base ${file} NAME)
  get_filename_component(type ${file} LAST_EXT)
  string(SUBSTRING ${type} 1 -1 type)
  if(NOT DEFINED types_${type})
    message(FATAL_ERROR "${file}: no media type is known for .${type}")
  endif()
  file(READ ${file} bytes HEX)
  file(SHA256 ${file} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${n}[] = {\n${bytes}};\n")
  string(APPEND rows "    {.path = \"/${base}\", .mime = \"${types_${type}}\", .identity = file_${n}, "
                     ".identity_len = sizeof file_${n}, .etag = \"${hash}\"},\n")
  math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUT} "/* Written by cmake/embed.cmake. */\n#include \"weaprous/weaprous.h\"\n\n"
  "extern const struct wr_asset ${NAME}_assets[];\nextern const size_t ${NAME}_assets_count;\n\n"
  "${arrays}\nconst struct wr_asset ${NAME}_assets[] = {\n${rows}};\n"
  "const size_t ${NAME}_assets_count = ${n};\n")
