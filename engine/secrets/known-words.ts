/**
 * Words of the names that every server has: of its settings, of its catalogues and their columns, of its predefined roles, and of its grammar. Everybody knows them, so that a
 * secret which is a part of one tells nothing there; a mask would, and would spoil the name.
 */
export const KNOWN_WORDS: ReadonlySet<string> = new Set(
  `
abandoned abbrev abbreviations abbrevs abort above absent absolute accept access action active activities activity adbin address addresses admin
administrable adnum adrelid after aggcombinefn aggdeserialfn aggfinalextra aggfinalfn aggfinalmodify aggfnoid agginitval aggkind aggmfinalextra
aggmfinalfn aggmfinalmodify aggminitval aggminvtransfn aggmtransfn aggmtransspace aggmtranstype aggnumdirectargs aggregate aggserialfn aggsortop
aggtransfn aggtransspace aggtranstype alloc allocated allocations allow alter altered always amhandler amname amopfamily amoplefttype amopmethod
amopopr amoppurpose amoprighttype amopsortfamily amopstrategy amproc amprocfamily amproclefttype amprocnum amprocrighttype amtype analyse analyze
append applicability applicable application applied apply archive archived archiver array arrayagg asensitive assertion assertions assignment
asymmetric async atomic attach attacl attalign attbyval attcacheoff attcollation attcompression attfdwoptions attgenerated atthasdef atthasmissing
attidentity attinhcount attisdropped attislocal attlen attmissingval attname attnames attndims attnotnull attnum attoptions attrdef attrelid attribute
attributes attstattarget attstorage atttypid atttypmod authenticated authentication authid authorization authorizations autoanalyze autovacuum
available backend backslash backtrace backup backward basebackup before begin between bgwriter bigint binary bitcode bitmapscan block blocks bodies
bonjour boolean bounds breadth buffer buffered bufferpin buffers bytea bytes cache caches called calls cardinality cascade cascaded caseins
castcontext castfunc castmethod castsource casttarget catalog category cfgname cfgnamespace cfgowner cfgparser chain change character characteristics
check checking checkpoint checkpointer checkpoints checksum checksums child chunks cipher ciphers class classid classoid clause clean cleanup client
close cluster coalesce collapse collate collation collations collcollate collctype collection collector collencoding collicurules collisdeterministic
colllocale collname collnamespace collowner collprovider collversion column columns combine command commands comment comments commit committed common
compat completion compression compute computed conbin concurrency concurrently condefault condeferrable condeferred condition conditional conenforced
conexclop confdelsetcols confdeltype conffeqop config configuration confirmed confkey confl conflict conflicting conflicts confmatchtype
conforencoding conforming confrelid confupdtype conindid coninhcount conislocal conkey conname connamespace connection connections conninfo
connoinherit conowner conparentid conperiod conpfeqop conppeqop conproc conrelid consistency constraint constraints content context contexts continue
contoencoding control contype contypid convalidated conversion correlation count counts crash create created createrole creation credentials cross
ctype current cursor cursors curve custom cycle damaged database datacl datallowconn datcollate datcollversion datconnlimit datctype datdba datestyle
datetime datetimes datfrozenxid dathasloginevt daticurules datid datistemplate datlastsysoid datlocale datlocprovider datminmxid datname datoid
dattablespace deadlock deadlocks deallocate debug debugging decimal declare decode decoding defaclacl defaclnamespace defaclobjtype defaclrole default
defaults defer deferrable deferred defined definer definition deforming delay delegated delegation deletable delete deleted delimiter delimiters
depend dependencies dependent depends depth deptype derived description destination detach deterministic dictinitoption dictionary dictname
dictnamespace dictowner dicttemplate differs digits direct directories directory dirty disable discard disconnections distance distinct document
domain domains double duration dynamic eager effective effort element elems elimination empty enable enabled encoding encrypted encryption enforced
enumlabel enumsortorder enumtypid enumvals equals error escape event events evictions evtenabled evtevent evtfoid evtname evtowner evttags except
exclude excluded excluding exclusion exclusive execute executor exists explain expression expressions exprs extcondition extconfig extend extends
extension extensions external extname extnamespace extowner extra extract extrelocatable extversion facility factor failed failover failsafe failure
failures false family fastpath fatal fdwacl fdwhandler fdwname fdwoptions fdwowner fdwvalidator feature features feedback fetch fetched filename files
filter final finalize first float flush flushed flushes following force foreign format forward fraction freeze freqs fsync fsyncs ftoptions ftrelid
ftserver funcid funcname function functions fuzzy gather gathermerge generated generation generations generic global grant grantable granted grantee
grantor grants greatest grolist groname grosysid group grouping groups gssapi handle handler hashagg hashjoin hasindexes hasrules hastriggers having
header hierarchy hints histogram holdable hostname ident identifier identifiers identity ignore ilike immediate immutable implementation implicit
implicitly import inactive include including inclusive increment incremental indcheckxmin indclass indcollation indent index indexdef indexes
indexname indexonlyscan indexprs indexrelid indexrelname indexscan indimmediate indisclustered indisexclusion indislive indisprimary indisready
indisreplident indisunique indisvalid indkey indnatts indnkeyatts indnullsnotdistinct indoption indpred indrelid information inhdetachpending inherit
inherited inherits inhparent inhrelid inhseqno initially initprivs inline inner inout input insensitive insert insertable inserted installed
instantiable instead integer intersect interval intervalstyle invalid invalidation invocable invoker isnull isolation ispopulated issuer iterations
keepalives keyfile killed kinds label lanacl language laninline lanispl lanname lanowner lanplcallfoid lanpltrusted lanvalidator large largeobject
lateral latest launch launched leader leading leakproof least length level libraries library limit listen local localmem localtime localtimestamp
location locator locked locker lockers locks locktype logged logging logical logicalslot lomacl lomowner maintain maintenance manipulation mapcfg
mapdict mapping mappings mapseqno maptokentype match matched material materialized matviewname matviewowner matviews maximum maxpages maxvalue
maxwritten member members memoize memory merge mergejoin messages metadata method minimum minute minvalue missing module monetary monitor month
multiple multiplier multixact names namespace naptime national natural nblocks nchar negotiation nested nestloop netmask newpage nonsystem normalize
normalized nothing notify notnull nowait nspacl nspname nspowner nullable nullif nulls numbackends number numbers numeric oauth object objectagg
objects objid objname objnamespace objoid objsubid objtype octet offset opcdefault opcfamily opcintype opckeytype opclass opcmethod opcname
opcnamespace opcowner operation operator opfamily opfmethod opfname opfnamespace opfowner oprcanhash oprcanmerge oprcode oprcom oprjoin oprkind
oprleft oprname oprnamespace oprnegate oprowner oprrest oprresult oprright optimize option options order ordering ordinal ordinality orientation
origin origins others outer output overlaps overlay overriding owned owner pageno pages paracl parallel parameter parameters params parname parse
parser partattrs partclass partcollation partdefid partexprs partial participation partition partitioned partitions partitionwise partnatts partrelid
parts partstrat passing passphrase passwd password pending period permissions permissive phase place placing planner plans plugin pnnspid pnpubid
polcmd policies policy policyname polname polpermissive polqual polrelid polroles polwithcheck position postgres prattrs precedence preceding
precision prefer prefetch prefix preload prepare prepared preserve presorted pretty primary principal print prior priority privilege privileges privs
privtype proacl proallargtypes proargdefaults proargmodes proargnames proargtypes probin procedural procedure procedures process processed processes
proconfig procost profiling program progress proisstrict prokind prolang proleakproof promote proname pronamespace pronargdefaults pronargs proowner
proparallel proretset prorettype prorows prosecdef prosqlbody prosrc prosupport protocol protrftypes provariadic provider provolatile prpubid prqual
prrelid prsend prsheadline prslextype prsname prsnamespace prsstart prstoken pruning puballtables pubdelete pubgencols pubinsert publication pubname
pubowner pubtruncate pubupdate pubviaroot query queue quote quotes radix random range reads reason reassign rebuild receipt receive received receiver
recheck records recovery recursive recycle refclassid reference references referencing referential refobjid refobjsubid refresh reindex relacl
relallfrozen relallvisible relam relation relative relchecks release relfilenode relforcerowsecurity relfrozenxid relhasindex relhasrules
relhassubclass relhastriggers relid relispartition relispopulated relisshared relkind relminmxid relname relnamespace relnatts reload relocatable
reloftype reloptions relowner relpages relpartbound relpersistence relreplident relrewrite relrowsecurity reltablespace reltoastrelid reltuples
reltype remote remove rename reordering repeatable repertoire replace replay replica replication reply requested requires reserved reset restart
restartpoints restore restrict result retrieve retry return returned returning returns reuses revoke rewrite rewritten right rngcanonical rngcollation
rngmultitypid rngsubdiff rngsubopc rngsubtype rngtypid roident rolbypassrls rolcanlogin rolconfig rolconnlimit rolcreatedb rolcreaterole roleid roles
rolinherit rollback rollup rolname rolpassword rolreplication rolsuper rolvaliduntil roname rotation routine routines rowfilter rowsecurity rulename
rules sample savepoint scalar scale scanned schema schemaname schemas schemata scope scram scroll scrollable search seclabel seclabels second security
segment select selection semaphores sender senders seqcache seqcycle seqincrement seqmax seqmin seqno seqrelid seqscan seqscans seqstart seqtypid
sequence sequencename sequenceowner sequences serial serializable serialize server servers session sessions setconfig setdatabase setof setrole
setting settings setup shadow share shared shdepend shdescription shmem short shseclabel siblings signal similar simple since sizing skipped slots
smallint snapshot socket source sourcefile sourceline spcacl spcname spcoptions spcowner specific spill split srrelid srsubid srsublsn srsubstate
srvacl srvfdw srvid srvname srvoptions srvowner srvtype srvversion staattnum stable stack stacoll stadistinct stainherit stakind standalone standard
standby stanullfrac stanumbers staop starelid start startup state statement statements statio statistic statistics stats status stavalues stawidth
stdin stdout storage stored stream streamed streaming strict string strings strip stxddependencies stxdexpr stxdinherit stxdmcv stxdndistinct stxexprs
stxkeys stxkind stxname stxnamespace stxoid stxowner stxrelid stxstattarget style subbinary subconninfo subdbid subdisableonerr subenabled subfailover
subid subname suborigin subowner subpasswordrequired subpublications subrunasowner subscription subskiplsn subslotname substream substring
subsynccommit subtransaction subtwophasestate summarize summary superuser support supported supports symmetric synced synchronize synchronized
synchronous sysid syslog system table tablename tableoid tableowner tables tablesample tablespace tablespaces target template temporary tgargs tgattr
tgconstraint tgconstrindid tgconstrrelid tgdeferrable tgenabled tgfoid tginitdeferred tgisinternal tgname tgnargs tgnewtable tgoldtable tgparentid
tgqual tgrelid tgtype threshold tidscan timed timeline timeout timestamp timezone timing title tmplinit tmpllexize tmplname tmplnamespace toast total
trace track trailing transaction transactionid transactions transform transforms treat trffromsql trflang trftosql trftype trigger triggered triggers
truncate truncates trusted tuple tuples typacl typalign typanalyze typarray typbasetype typbyval typcategory typcollation typdefault typdefaultbin
typdelim typed typelem types typinput typisdefined typispreferred typlen typmodin typmodout typname typnamespace typndims typnotnull typoutput
typowner typreceive typrelid typsend typstorage typsubscript typtype typtypmod uescape umoptions umserver umuser unbounded uncommitted unconditional
unencrypted union unique unknown unlisten unlogged until updatable update updated usage usebypassrls useconfig usecreatedb usename userepl username
users usesuper usesysid using vacuum vacuumed valid validate validation validator value values valuntil varchar variadic vartype varying verbose
verbosity verified version versions viewname viewowner views virtual virtualtransaction virtualxid volatile waits waitstart warning warnings where
whitespace width window within without worker workers worktable wrapper wrappers write writeback writebacks writer writes written xacts xmlattributes
xmlbinary xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmloption xmlparse xmlpi xmlroot xmlserialize xmltable zeroed
`
    .trim()
    .split(/\s+/),
);
