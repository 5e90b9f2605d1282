# FILES below SOURCE -> WORK.
foreach(file ${FILES})
  configure_file(${SOURCE}/${file} ${WORK}/${file} COPYONLY)
endforeach()
