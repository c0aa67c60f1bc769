-- Written by `make rockspec`. Builds without any network: tarantoolctl rocks make rockspecs/lycosa-scm-1.rockspec
rockspec_format = '3.0'
package = 'lycosa'
version = 'scm-1'
source = { url = 'git+file://.' }
description = {
    summary = 'Customer intelligence that lives in Tarantool: stored procedures beside the data',
    license = 'Apache-2.0',
}
dependencies = { 'lua >= 5.1' }
build = {
    type = 'builtin',
    modules = {
        ['lycosa.api.cache'] = 'lua/lycosa/api/cache.lua',
        ['lycosa.api.customer'] = 'lua/lycosa/api/customer.lua',
        ['lycosa.api.request'] = 'lua/lycosa/api/request.lua',
        ['lycosa.api.system'] = 'lua/lycosa/api/system.lua',
        ['lycosa.cache'] = 'lua/lycosa/cache.lua',
        ['lycosa.console.help'] = 'lua/lycosa/console/help.lua',
        ['lycosa.console.status'] = 'lua/lycosa/console/status.lua',
        ['lycosa.console.table'] = 'lua/lycosa/console/table.lua',
        ['lycosa.core.bucket'] = 'lua/lycosa/core/bucket.lua',
        ['lycosa.core.clock'] = 'lua/lycosa/core/clock.lua',
        ['lycosa.core.contract'] = 'lua/lycosa/core/contract.lua',
        ['lycosa.core.cursor'] = 'lua/lycosa/core/cursor.lua',
        ['lycosa.core.daemon'] = 'lua/lycosa/core/daemon.lua',
        ['lycosa.core.errors'] = 'lua/lycosa/core/errors.lua',
        ['lycosa.core.errors_catalogue'] = 'lua/lycosa/core/errors_catalogue.lua',
        ['lycosa.core.memory'] = 'lua/lycosa/core/memory.lua',
        ['lycosa.core.metrics'] = 'lua/lycosa/core/metrics.lua',
        ['lycosa.core.publish'] = 'lua/lycosa/core/publish.lua',
        ['lycosa.core.types'] = 'lua/lycosa/core/types.lua',
        ['lycosa.customer.fields'] = 'lua/lycosa/customer/fields.lua',
        ['lycosa.customer.find'] = 'lua/lycosa/customer/find.lua',
        ['lycosa.customer'] = 'lua/lycosa/customer/init.lua',
        ['lycosa.customer.segments'] = 'lua/lycosa/customer/segments.lua',
        ['lycosa.customer.upsert'] = 'lua/lycosa/customer/upsert.lua',
        ['lycosa.document.chunks'] = 'lua/lycosa/document/chunks.lua',
        ['lycosa.document.fields'] = 'lua/lycosa/document/fields.lua',
        ['lycosa.document.indexer'] = 'lua/lycosa/document/indexer.lua',
        ['lycosa.document.norms'] = 'lua/lycosa/document/norms.lua',
        ['lycosa.document.packed'] = 'lua/lycosa/document/packed.lua',
        ['lycosa.document.postings'] = 'lua/lycosa/document/postings.lua',
        ['lycosa.document.reader'] = 'lua/lycosa/document/reader.lua',
        ['lycosa.document.stem_en'] = 'lua/lycosa/document/stem_en.lua',
        ['lycosa.document.stem_ru'] = 'lua/lycosa/document/stem_ru.lua',
        ['lycosa.document.tokens'] = 'lua/lycosa/document/tokens.lua',
        ['lycosa'] = 'lua/lycosa/init.lua',
        ['lycosa.request'] = 'lua/lycosa/request.lua',
        ['lycosa.schema.0001_customer'] = 'lua/lycosa/schema/0001_customer.lua',
        ['lycosa.schema.0002_request'] = 'lua/lycosa/schema/0002_request.lua',
        ['lycosa.schema.0003_cache'] = 'lua/lycosa/schema/0003_cache.lua',
        ['lycosa.schema.0004_document'] = 'lua/lycosa/schema/0004_document.lua',
        ['lycosa.schema'] = 'lua/lycosa/schema/init.lua',
        ['lycosa.settings'] = 'lua/lycosa/settings.lua',
        ['lycosa.system'] = 'lua/lycosa/system.lua',
    },
}
