// The bodies of what the rest of this library only declares (BOOST_ASIO_SEPARATE_COMPILATION and its twin).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
