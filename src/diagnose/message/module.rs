//! Messages of language runtimes and servers about native modules that were built for another version of them.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    NodeJs ModuleVersion, "The module '{path}' was compiled against a different Node.js version",
        "Error: The module '/app/node_modules/bcrypt/lib/binding/bcrypt_lib.node' was compiled against a different Node.js version using NODE_MODULE_VERSION 93.";
    NodeJs ModuleVersion, "Error: The module '{path}'$",
        "Error: The module '/app/node_modules/bcrypt/lib/binding/bcrypt_lib.node'";
    NodeJs ModuleVersion, "was compiled against a different Node.js version using",
        "was compiled against a different Node.js version using";
    NodeJs ModuleVersion, "This version of Node.js requires NODE_MODULE_VERSION {#version}",
        "This version of Node.js requires NODE_MODULE_VERSION 115. Please try re-compiling or re-installing";
    NodeJs ModuleVersion, "NODE_MODULE_VERSION {#version}. This version of Node.js requires",
        "NODE_MODULE_VERSION 93. This version of Node.js requires";
    NodeJs ModuleVersion, "Module version mismatch. Expected {#version}, got {#found}",
        "Error: Module version mismatch. Expected 46, got 14.";
    Npm ModuleVersion, "Module did not self-register: '{path}'",
        "Error: Module did not self-register: '/app/node_modules/canvas/build/Release/canvas.node'.";
    Python ModuleVersion, "Python version mismatch: module was compiled for Python {=found}, but",
        "ImportError: Python version mismatch: module was compiled for Python 3.9, but the interpreter version is incompatible: 3.11.4";
    Python ModuleVersion, "module compiled against API version {=found} but this version of numpy is {=version}",
        "RuntimeError: module compiled against API version 0x10 but this version of numpy is 0xf";
    Python ModuleVersion, "module was compiled against NumPy C-API version {=found} (NumPy {text}) but the running NumPy has",
        "RuntimeError: module was compiled against NumPy C-API version 0x10 (NumPy 1.23) but the running NumPy has C-API version 0xf.";
    NumPy ModuleVersion, "A module that was compiled using NumPy {=found} cannot be run in",
        "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.1.0 as it may crash.";
    Python ModuleVersion, "ValueError: {=type} size changed, may indicate binary incompatibility",
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject";
    Python ModuleVersion, "dynamic module does not define {text} function (",
        "ImportError: dynamic module does not define module export function (PyInit__ext)";
    Php ModuleVersion, "PHP Startup: {=extension}: Unable to initialize module",
        "PHP Warning:  PHP Startup: redis: Unable to initialize module";
    Php ModuleVersion, "Module compiled with module API={#found}",
        "Module compiled with module API=20190902";
    Php ModuleVersion, "Module compiled with build ID={=found}",
        "Module compiled with build ID=API20190902,NTS";
    Php ModuleVersion, "it was built with configuration {=found}, whereas running engine is",
        "Cannot load Xdebug - it was built with configuration API320190902,NTS, whereas running engine is API320210902,NTS";
    Php ModuleVersion, "requires Zend Engine API version {#version}",
        "Xdebug requires Zend Engine API version 320190902.";
    Ruby ModuleVersion, "linked to incompatible {library} - {path}",
        "LoadError: linked to incompatible /usr/local/lib/libruby.so.3.3 - /usr/local/bundle/gems/stringio-3.1.1/lib/stringio.so";
    Ruby ModuleVersion, "incompatible library version - {path}",
        "/app/run.rb:1:in `require': incompatible library version - /app/lib/native.so (LoadError)";
    Perl ModuleVersion, "loadable library and perl binaries are mismatched",
        "XS.c: loadable library and perl binaries are mismatched (got first handshake key 0xdb80080, needed 0xcd00080)";
    Perl ModuleVersion, "object version {=found} does not match bootstrap parameter",
        "DBI object version 1.642 does not match bootstrap parameter 1.643 at /usr/lib/perl5/DynaLoader.pm line 210.";
    Perl ModuleVersion, "Perl API version {=found} of {=module} does not match",
        "Perl API version v5.34.0 of List::Util does not match v5.36.0 at /usr/share/perl/5.36/XSLoader.pm line 93.";
    Server ModuleVersion, "incompatible library \"{path}\": {reason}",
        "FATAL:  incompatible library \"/usr/lib/postgresql/16/lib/pg_cron.so\": version mismatch";
    Server ModuleVersion, "Server is version {=version}, library is version {=found}",
        "DETAIL:  Server is version 16, library is version 15.";
    Server ModuleVersion, "API version for {type} plugin is too different",
        "Can't open shared library 'ha_example.so' (errno: 0, API version for STORAGE ENGINE plugin is too different)";
    Server ModuleVersion, "module \"{path}\" is not binary compatible",
        "nginx: [emerg] module \"/etc/nginx/modules/ngx_http_geoip2_module.so\" is not binary compatible in /etc/nginx/nginx.conf:1";
    Server ModuleVersion, "module \"{path}\" version {#found} instead of {#version}",
        "nginx: [emerg] module \"/etc/nginx/modules/ngx_http_geoip2_module.so\" version 1022001 instead of 1024000 in /etc/nginx/nginx.conf:1";
    Server ModuleVersion, "in file {path} is garbled - expected signature",
        "API module structure 'php7_module' in file /usr/lib/apache2/modules/libphp7.so is garbled - expected signature 41503234 but saw 41503230";
    Server ModuleVersion, "is not compatible with this version of Apache",
        "httpd: module \"mod_auth.c\" is not compatible with this version of Apache (found 20051115, need 20120211).";
    Language ModuleVersion, "was {built} before R {=version}: please re-install it",
        "Error: package ‘unix’ was installed before R 4.0.0: please re-install it";
    Language ModuleVersion, "version mismatch: app. needs {version}",
        "lua: error loading module 'lfs' from file '/usr/lib/lua/5.3/lfs.so': version mismatch: app. needs 503.0, Lua core provides 504.0";
    Language ModuleVersion, "core and library have incompatible numeric types",
        "lua: core and library have incompatible numeric types";
    Erlang ModuleVersion, "Library version ({=found}) not compatible (with {=version}",
        "The on_load function for module jiffy returned {error,{bad_lib,\"Library version (2.17) not compatible (with 2.16).\"}}";
}
